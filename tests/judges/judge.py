"""Lets the clients judge one simulated system: judge.py RELEASE GATEWAY GATEWAY"""

import sys

import everything
import volumes

release, first, second = sys.argv[1:]
volumes.judge(release, first, second)
if release >= "3.0":
    everything.judge(release, first, second)
