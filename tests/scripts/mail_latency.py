#!/usr/bin/env python3
"""Measures the way of an alert: from the poll that shows the fault to the mail server's yes.

  cargo build --release --bin sio-demo && tests/scripts/mail_latency.py [SIO_DEMO]

Prints how much of it is beyond the rule's `for` and the group's wait, and ends
with 1 when that is more than 5 seconds.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from datetime import datetime

FOR, WAIT, BUDGET = 5.0, 30.0, 5.0

program = sys.argv[1] if len(sys.argv) > 1 else "target/release/sio-demo"
command = [program, "--port", "0", "--mail-port", "0", "--seconds", "150", "--log", "info"]
demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


try:
    api = sent = None
    deadline = time.monotonic() + 150
    for line in demo.stdout:
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if found := re.search(r"API\s+(http://\S+)/api/v1/status", line):
            api = found[1]
        if "mail sent" in line:
            sent = moment(line.split()[0])
            break
        if time.monotonic() > deadline:
            break
    if sent is None:
        sys.exit("no mail was sent")
    with urllib.request.urlopen(f"{api}/api/v1/alerts", timeout=10) as answer:
        alerts = json.load(answer)["alerts"].values()
    firing = [alert for alert in alerts if alert["state"]["state"] == "firing"]
    first = min(moment(alert["active_since"]) for alert in firing)
    whole = (sent - first).total_seconds()
    beyond = whole - FOR - WAIT
    print(f"from the poll that shows it to the mail accepted: {whole:.2f} s; {beyond:.2f} s beyond `for` and group wait")
    sys.exit(0 if beyond <= BUDGET else 1)
finally:
    demo.terminate()
    demo.wait()
