#!/usr/bin/env python3
"""What does the controller cost? The whole process, against a simulated system
that is a process of its own, so that only the controller is counted.

    cargo build --release
    tests/scripts/measure.py                  # small, large and huge; huge also without alerts
    tests/scripts/measure.py huge --fast 5    # one size, another beat
    tests/scripts/measure.py huge --no-alerts # as beside a Prometheus that evaluates the rules

For each size it runs `sio-demo --only-gateway` and `sio run`, scrapes once a
fast beat as Prometheus does (OpenMetrics, gzip), and after the first poll
follows one whole cycle of the slow beat: 20 polls. CPU and peak memory are
the kernel's (/proc/PID/stat, VmHWM). The worst poll is the largest CPU
use of any nine tenths of a beat, so one scrape counts with it. Exits with 1
when a budget is missed.
"""

import argparse
import gzip
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.1"
TICK = 1 / os.sysconf("SC_CLK_TCK")

# Per size: beat in seconds, and budgets (None: not asked). Of memory with alerts and without.
SIZES = {
    "small": {"fast": 1, "mean": 0.005, "worst": None, "memory": (15, 15), "serve": None},
    "large": {"fast": 2, "mean": None, "worst": None, "memory": (None, None), "serve": None},
    "huge": {"fast": 6, "mean": 1.0, "worst": 2.0, "memory": (650, 450), "serve": 0.15},
}

# CPU seconds of one evaluation, and MiB of history.
EVALUATION, HISTORY = 1.0, 200


def cpu(pid):
    """CPU seconds of a process: user and system."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def status(pid, key):
    """A size of /proc/PID/status in MiB."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(rf"^{key}:\s+(\d+)", file.read(), re.M).group(1)) / 1024


class Scrape:
    """One scrape over a connection of its own, read in large pieces."""

    room = bytearray(1 << 20)

    def __init__(self, port, gzipped, query="", keep=True):
        head = f"GET /metrics{query} HTTP/1.1\r\nHost: x\r\nAccept: {ACCEPT}\r\nConnection: close\r\n"
        head += "Accept-Encoding: gzip\r\n" if gzipped else ""
        begun = time.monotonic()
        pieces, view, self.length = [], memoryview(self.room), 0
        with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
            peer.sendall((head + "\r\n").encode())
            while size := peer.recv_into(view):
                self.length += size
                if keep or not pieces:
                    pieces.append(bytes(view[:size]))
        self.seconds = time.monotonic() - begun
        self.body = b"".join(pieces).split(b"\r\n\r\n", 1)[1]
        if keep and gzipped:
            self.body = gzip.decompress(self.body)


def seq(port):
    """The newest snapshot; 0 before the first."""
    try:
        found = re.search(rb"^scaleio_snapshot_seq\{.*\} (\d+)", Scrape(port, False, "?collect[]=exporter").body, re.M)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def gateway(folder):
    """Asks the simulated gateway itself: how long are its largest answers?"""
    text = open(f"{folder}/sio.toml").read()
    base = re.search(r'"(https://[^"]+)"', text).group(1)
    user = re.search(r'user = "([^"]+)"', text).group(1)
    password = open(f"{folder}/password").read()
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE

    def ask(path, body=None, credentials=None):
        import base64

        request = urllib.request.Request(base + path, data=body, headers={"Content-Type": "application/json"})
        if credentials:
            token = base64.b64encode(":".join(credentials).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, context=trust, timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return error.read()

    token = json.loads(ask("/api/login", credentials=(user, password)))
    session = ("", token)
    instances = len(ask("/api/instances", credentials=session))
    selection = []
    for kind in ["System", "ProtectionDomain", "StoragePool", "Sds", "Device", "Sdc", "Volume", "VTree"]:
        one = {"type": kind, "allIds": "", "properties": ["?"]}
        body = json.dumps({"selectedStatisticsList": [one]}).encode()
        refusal = ask("/api/instances/querySelectedStatistics", body, session).decode()
        names = refusal.partition("following values:")[2]
        one["properties"] = re.findall(r"\w+", names.partition('"')[0])
        selection.append(one)
    body = json.dumps({"selectedStatisticsList": selection}).encode()
    return instances, len(ask("/api/instances/querySelectedStatistics", body, session))


def until(what, condition, process, seconds=300):
    """Waits for a condition while a process lives."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if process.poll() is not None:
            sys.exit(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return value


def measure(size, bin_folder, fast, release, alerts):
    with tempfile.TemporaryDirectory(prefix="sio-measure.") as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # The simulator yields: a controller that waits for a core is not slow.
        world = subprocess.Popen(
            ["nice", f"{bin_folder}/sio-demo", "--size", size, "--release", release, "--only-gateway", folder],
            stdout=subprocess.DEVNULL,
        )
        controller = None
        try:
            until("the simulator starts", lambda: os.path.exists(f"{folder}/sio.toml"), world)
            variables = {
                "SIO__WEB__LISTEN": f"127.0.0.1:{port}",
                "SIO__LOG__LEVEL": "warn",
                "SIO__POLL__FAST": f"{fast}s",
                "SIO__POLL__MIDDLE": f"{4 * fast}s",
                "SIO__POLL__SLOW": f"{20 * fast}s",
                "SIO__POLL__MAX_AGE": f"{60 * fast}s",
                "SIO__ALERTS__ENABLED": "true" if alerts else "false",
                **every_object(),
            }
            controller = subprocess.Popen(
                [f"{bin_folder}/sio", "run", "--config", f"{folder}/sio.toml"], env={**os.environ, **variables}
            )
            return follow(size, controller, port, fast, folder)
        finally:
            for process in filter(None, [controller, world]):
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def every_object():
    """Settings that export every object of every kind."""
    return {f"SIO__METRICS__{kind}__EXPORT": "all" for kind in ("DEVICES", "SDCS", "VOLUMES")}


def follow(size, controller, port, fast, folder):
    pid = controller.pid
    until("the first poll", lambda: seq(port) >= 1, controller)
    Scrape(port, True, keep=False)
    # Lists were read, labels made: the cycle begins behind the second poll.
    first = until("the second poll", lambda: (found := seq(port)) >= 2 and found, controller)
    start_up = status(pid, "VmHWM")
    begun, used, samples, next_scrape = time.monotonic(), cpu(pid), [], 0.0
    first_seq, last_seq, packed = first, first, 0
    while time.monotonic() - begun < 20 * fast:
        now = time.monotonic()
        samples.append((now, cpu(pid)))
        if now >= next_scrape:
            next_scrape = now + fast
            packed = Scrape(port, True, keep=False).length
        time.sleep(0.02)
    total = cpu(pid) - used
    last_seq = seq(port)
    peak, resident = status(pid, "VmHWM"), status(pid, "VmRSS")
    worst, tail = 0.0, 0
    for head_time, head in samples:
        while head_time - samples[tail][0] > 0.9 * fast:
            tail += 1
        worst = max(worst, head - samples[tail][1])
    serve = sorted(Scrape(port, False, keep=False).seconds for _ in range(5))[2]
    serve_packed = sorted(Scrape(port, True, keep=False).seconds for _ in range(5))[2]
    plain = Scrape(port, False)
    series = sum(1 for line in plain.body.splitlines() if not line.startswith(b"#"))
    evaluation = re.search(rb"^scaleio_alert_last_evaluation_duration_seconds\{\} (\S+)", plain.body, re.M)
    history = re.search(rb"^scaleio_alert_history_size_bytes\{\} (\S+)", plain.body, re.M)
    instances, statistics = gateway(folder)
    polls = last_seq - first_seq
    return {
        "size": size, "polls": polls, "series": series, "mean": total / max(polls, 1), "worst": worst,
        "memory": peak, "start_up": start_up, "resident": resident, "serve": serve, "serve_packed": serve_packed,
        "plain": plain.length, "packed": packed, "instances": instances, "statistics": statistics,
        "evaluation": float(evaluation.group(1)) if evaluation else None,
        "history": float(history.group(1)) / 2**20 if history else None,
    }


def shown(budget, value, unit):
    if budget is None:
        return f"{value:.3f} {unit}"
    return f"{value:.3f} {unit} (asked {budget}{'' if value <= budget else ', MISSED'})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="small, large, huge; all of them when none is named")
    parser.add_argument("--fast", type=int, help="seconds of the fast beat; the others are 4 and 20 times that")
    parser.add_argument("--release", default="3.6", help="release of the simulated system")
    parser.add_argument("--no-alerts", action="store_true", help="without the alert engine, as beside a Prometheus")
    parser.add_argument("--bin", default="target/release", help="folder of the two programs")
    arguments = parser.parse_args()
    missed = False
    runs = [(size, not arguments.no_alerts) for size in arguments.sizes or SIZES]
    if not arguments.sizes and not arguments.no_alerts:
        runs.append(("huge", False))
    for size, alerts in runs:
        with_alerts, without = SIZES[size]["memory"]
        budget = {**SIZES[size], "memory": with_alerts if alerts else without}
        m = measure(size, arguments.bin, arguments.fast or budget["fast"], arguments.release, alerts)
        if alerts:
            missed |= m["evaluation"] > EVALUATION or m["history"] > HISTORY
        for key in ("mean", "worst", "memory", "serve"):
            missed |= budget[key] is not None and m[key] > budget[key]
        print(f"{size}{'' if alerts else ', no alerts'}: {m['series']} series, {m['polls']} polls")
        print(f"  gateway answers    {m['instances'] / 1e6:.2f} MB instances, {m['statistics'] / 1e6:.2f} MB statistics (all)")
        print(f"  body               {m['plain'] / 1e6:.2f} MB, {m['packed'] / 1e6:.2f} MB packed")
        print(f"  CPU a poll, mean   {shown(budget['mean'], m['mean'], 's')}")
        print(f"  CPU a poll, worst  {shown(budget['worst'], m['worst'], 's')}")
        print(f"  per series, mean   {m['mean'] / m['series'] * 1e9:.0f} ns")
        print(f"  peak memory        {shown(budget['memory'], m['memory'], 'MiB')}, {m['start_up']:.1f} after two polls, {m['resident']:.1f} now")
        if m["evaluation"] is not None:
            print(f"  alert evaluation   {shown(EVALUATION, m['evaluation'], 's')}, history {m['history']:.1f} MiB (asked {HISTORY})")
        print(f"  a ready body       {shown(budget['serve'], m['serve'], 's')}, packed {m['serve_packed']:.3f} s", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
