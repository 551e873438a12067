#!/usr/bin/env python3
"""Does a real Prometheus scrape the largest system?

    cargo build --release
    tests/scripts/prometheus_huge.py            # or: large, small

Runs `sio-demo --only-gateway`, `sio run` with every object exported, and
`prometheus` (apt: prometheus), and lets it scrape some times. Every scrape must
succeed, with as many samples as the controller says it has; prints what
Prometheus itself says of it. Exits with 1 when a scrape fails.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from measure import Scrape, cpu, every_object, seq, status, until

SCRAPES = 5
CONFIG = """
global: {{scrape_interval: {beat}s, scrape_timeout: {beat}s}}
scrape_configs:
- job_name: scaleio
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_ports(count):
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ask(port, query):
    """The values of an instant query."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            found = json.load(answer)["data"]["result"]
    except OSError:
        return []
    return [float(one["value"][1]) for one in found]


def main():
    size = sys.argv[1] if len(sys.argv) > 1 else "huge"
    beat, fast, folder_of_programs = 10, 6, "target/release"
    with tempfile.TemporaryDirectory(prefix="sio-prometheus.") as folder:
        port, own = free_ports(2)
        running = []

        def start(command, **options):
            running.append(subprocess.Popen(command, **options))
            return running[-1]

        try:
            world = start(["nice", f"{folder_of_programs}/sio-demo", "--size", size, "--only-gateway", folder],
                          stdout=subprocess.DEVNULL)
            until("the simulator starts", lambda: os.path.exists(f"{folder}/sio.toml"), world)
            variables = {
                "SIO__WEB__LISTEN": f"127.0.0.1:{port}", "SIO__LOG__LEVEL": "warn",
                "SIO__POLL__FAST": f"{fast}s", "SIO__POLL__MIDDLE": f"{4 * fast}s", "SIO__POLL__SLOW": f"{20 * fast}s",
                "SIO__POLL__MAX_AGE": f"{60 * fast}s", **every_object(),
            }
            controller = start([f"{folder_of_programs}/sio", "run", "--config", f"{folder}/sio.toml"],
                               env={**os.environ, **variables})
            until("the second poll", lambda: seq(port) >= 2, controller)
            with open(f"{folder}/prometheus.yml", "w") as file:
                file.write(CONFIG.format(beat=beat, port=port))
            with open(f"{folder}/prometheus.log", "w") as log:
                prometheus = start(
                    ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                     f"--web.listen-address=127.0.0.1:{own}"], stderr=log, stdout=log)
            until("the first scrape", lambda: ask(own, "up"), prometheus, 120)
            begun = time.monotonic()
            until("enough scrapes", lambda: (ask(own, "count_over_time(up[1h])") or [0])[0] >= SCRAPES, prometheus,
                  20 * beat * SCRAPES)
            failed = ask(own, "count_over_time((up == 0)[1h:1s])")
            samples = ask(own, "scrape_samples_scraped")
            counted = ask(own, 'count({__name__=~"scaleio_.+"})')
            seconds = ask(own, "max_over_time(scrape_duration_seconds[1h])")
            body = Scrape(port, False).body
            served = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
            print(f"{size}: {SCRAPES} scrapes in {time.monotonic() - begun:.0f} s, {'none' if not failed else 'some'} failed")
            print(f"  samples a scrape   {samples[0]:.0f}; the body now has {served}")
            print(f"  of ours            {counted[0]:.0f} series in Prometheus")
            print(f"  longest scrape     {seconds[0]:.2f} s, with its parsing and storing")
            print(f"  controller         {status(controller.pid, 'VmHWM'):.0f} MiB peak, {cpu(controller.pid):.1f} CPU s in all")
            # The last few series come and go with what happens in the simulated system.
            wrong = bool(failed) or abs(samples[0] - served) > 0.01 * served
            sys.exit(1 if wrong else 0)
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                process.wait(60)


if __name__ == "__main__":
    main()
