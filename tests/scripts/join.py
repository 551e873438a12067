#!/usr/bin/env python3
"""What does it cost when hosts join, and how soon are they ready? The whole
controller, against a simulated ScaleIO system, a simulated Mesos and bare hosts
in another process, so that only the controller is counted.

    cargo build --release
    tests/scripts/join.py                 # 1, 100 and 1,000 hosts that join at once
    tests/scripts/join.py 100 --log info  # one size, with the controller's log in join.log

It runs `sio-demo --only-gateway FOLDER --hosts N` and `sio run` with the default
beats of polling and what sio.service sets, waits until the system was polled, and
lets all hosts join in one moment. The agents are the product's, on simulated
machines where an installation takes no time. CPU and peak memory are the kernel's
(/proc/PID/stat, VmHWM), from the moment of joining until all are ready; what the
controller takes in the same time without hosts is measured before and told beside.
A node's time is from its first offer (as the master made it) to `ready` (as the API
tells it); the test of its new disk, which the simulated MDM makes for 10 s, is told
apart.
Exits with 1 when a budget is missed.
"""

import argparse
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime

from measure import cpu, status, until

# Of one host: seconds of ours. Of a thousand: CPU seconds and KiB a node, and seconds until an offer is answered.
OURS, CPU, MEMORY, ANSWER = 2.0, 0.010, 100, 1.0

# So long the controller without hosts is looked at.
IDLE = 20


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def ask(port, path):
    """What the controller answers; packed on the way, as Prometheus and browsers ask for it."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
            packed = answer.headers.get("Content-Encoding") == "gzip"
            return (gzip.decompress(body) if packed else body).decode()
    except OSError:
        return ""


def in_time(condition, process, seconds, pause):
    """Whether a condition came true in time, while a process lives."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            sys.exit(f"the controller ended with {process.returncode}")
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def shipped():
    """What sio.service sets for the controller."""
    unit = os.path.join(os.path.dirname(__file__), "../../packaging/systemd/sio.service")
    with open(unit) as file:
        lines = [line.removeprefix("Environment=") for line in file if line.startswith("Environment=")]
    return dict(line.strip().split("=", 1) for line in lines)


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


class Figures:
    """What came of one size."""

    def __init__(self, hosts, world, nodes):
        told = world["hosts"]
        ready = {node["node"]: moment(node["since"]) for node in nodes if node.get("phase") == "ready"}
        self.hosts, self.ready = hosts, len(ready)
        self.answer, self.open = world["longest_answer_s"], world["open"]
        offered = {name: moment(of["offered_at"]) for name, of in told.items() if of["offered_at"]}
        self.whole = [ready[name] - offered[name] for name in ready if name in offered]
        tests = {
            name: moment(told[name]["tested_at"]) - moment(told[name]["device_at"])
            for name in ready
            if told[name]["tested_at"]
        }
        self.tests = list(tests.values())
        self.ours = [ready[name] - offered[name] - tests[name] for name in tests if name in offered]
        self.last = max(ready.values(), default=0)


def measure(hosts, arguments):
    with tempfile.TemporaryDirectory(prefix="sio-join.") as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # The simulator yields: a controller that waits for a core is not slow.
        command = ["nice", f"{arguments.bin}/sio-demo", "--only-gateway", folder, "--hosts", str(hosts)]
        world = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        controller = None
        try:
            until("the simulator starts", lambda: os.path.exists(f"{folder}/sio.toml"), world, 60)
            variables = {**shipped(), "SIO__WEB__LISTEN": f"127.0.0.1:{port}", "SIO__LOG__LEVEL": arguments.log}
            with open("join.log" if arguments.log != "warn" else os.devnull, "w") as log:
                controller = subprocess.Popen(
                    [*arguments.under, f"{arguments.bin}/sio", "run", "--config", f"{folder}/sio.toml"],
                    env={**os.environ, **variables},
                    stderr=log,
                )
            return follow(hosts, world, controller, port, arguments)
        finally:
            world.stdin.close()
            for process in filter(None, [controller, world]):
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def tell(world):
    print("tell", file=world.stdin, flush=True)
    while not (line := world.stdout.readline()).startswith("{"):
        if not line:
            sys.exit("the simulator has ended")
    return json.loads(line)


def follow(hosts, world, controller, port, arguments):
    pid = controller.pid
    until("the first poll", lambda: metric(port, "scaleio_snapshot_seq{") >= 1, controller, 60)
    registered = lambda: '"state":"registered"' in ask(port, "/api/v1/framework")
    until("the framework is registered", registered, controller, 60)
    before, memory = cpu(pid), 1024 * status(pid, "VmRSS")
    time.sleep(IDLE)
    idle = (cpu(pid) - before) / IDLE
    memory = max(memory, 1024 * status(pid, "VmHWM"))
    begun, used = time.monotonic(), cpu(pid)
    print("join", file=world.stdin, flush=True)
    # Asked for seldom: an answer about a thousand nodes is work too.
    pause = 0.5 if hosts < 100 else 3.0
    # By a whole scrape, as Prometheus makes them.
    counted = lambda: metric(port, "scaleio_framework_nodes{", 'state="ready"') >= hosts
    done = in_time(counted, controller, arguments.within, pause)
    took, used = time.monotonic() - begun, cpu(pid) - used
    figures = Figures(hosts, tell(world), json.loads(ask(port, "/api/v1/nodes") or "[]"))
    figures.done, figures.took, figures.cpu, figures.idle = done, took, used, idle
    figures.memory, figures.memory_before = 1024 * status(pid, "VmHWM"), memory
    return figures


def metric(port, begin, holds=""):
    """The first value of a series; 0 while there is none."""
    for line in ask(port, "/metrics").splitlines():
        if line.startswith(begin) and holds in line:
            return float(line.rsplit(" ", 1)[1])
    return 0


def shown(value, budget, unit, digits=3):
    asked = f" (asked {budget}{'' if value <= budget else ', MISSED'})" if budget is not None else ""
    return f"{value:.{digits}f} {unit}{asked}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, help="hosts; 1, 100 and 1000 when none is named")
    parser.add_argument("--bin", default="target/release", help="folder of the two programs")
    parser.add_argument("--log", default="warn", help="level of the controller's log; written to join.log")
    parser.add_argument("--within", type=int, default=900, help="seconds to wait for all hosts")
    parser.add_argument("--under", nargs="*", default=[], help="what the controller is run under, such as a profiler")
    arguments = parser.parse_args()
    missed = False
    for hosts in arguments.sizes or [1, 100, 1000]:
        f = measure(hosts, arguments)
        one, many = hosts == 1, hosts >= 1000
        cpu_net, kib = (f.cpu - f.idle * f.took) / hosts, (f.memory - f.memory_before) / hosts
        missed |= not f.done or (one and max(f.ours, default=99) > OURS)
        missed |= many and (cpu_net > CPU or kib > MEMORY or f.answer > ANSWER)
        print(f"{hosts} hosts: {f.ready} ready after {f.took:.1f} s{'' if f.done else ', NOT ALL'}")
        if f.whole:
            print(f"  first offer to ready   p50 {percentile(f.whole, 0.5):.2f} s, longest {max(f.whole):.2f} s")
            print(f"  of it tests of disks   p50 {percentile(f.tests, 0.5):.2f} s, longest {max(f.tests):.2f} s")
            ours = shown(max(f.ours), OURS if one else None, "s", 2)
            print(f"  the rest               p50 {percentile(f.ours, 0.5):.2f} s, longest {ours}")
        print(f"  an offer is answered   within {shown(f.answer, ANSWER if many else None, 's')}, {f.open} open")
        print(f"  CPU a node             {shown(cpu_net * 1000, CPU * 1000 if many else None, 'ms', 1)}", end="")
        print(f", beside {f.idle * 1000:.1f} ms a second without hosts")
        print(f"  peak memory a node     {shown(kib, MEMORY if many else None, 'KiB', 0)}", end="")
        print(f", beside {f.memory_before / 1024:.1f} MiB without hosts", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
