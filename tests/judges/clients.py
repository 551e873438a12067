"""The three clients, and what the judges share."""

import collections
import collections.abc
import contextlib
import logging
import re
import sys
import time

# pyscaleio was written when these still lived here.
for _name in ("Mapping", "MutableMapping", "Sequence", "MutableSequence"):
    setattr(collections, _name, getattr(collections.abc, _name))

import PyPowerFlex  # noqa: E402
from PyPowerFlex.exceptions import PowerFlexClientException  # noqa: E402
import pyscaleio  # noqa: E402
from pyscaleio.exceptions import ScaleIOError  # noqa: E402
from siolib import scaleio as siolib  # noqa: E402

logging.disable(logging.CRITICAL)

# Users are named for the client, so that the simulator knows who asks.
PASSWORD = "Judge-anything-1"


def powerflex(address):
    host, port = address.split(":")
    client = PyPowerFlex.PowerFlexClient(
        gateway_address=host, gateway_port=int(port), username="pypowerflex", password=PASSWORD,
        verify_certificate=False)
    client.initialize()
    return client


def scaleio(address):
    client = pyscaleio.ScaleIOClient.from_args(address, "pyscaleio", PASSWORD)
    # Some of its calls know no other client than the registered one.
    pyscaleio.del_client()
    pyscaleio.add_client(client)
    return client


def openstack(address):
    host, port = address.split(":")
    return siolib.ScaleIO(host, int(port), "siolib", PASSWORD)


class Disagreement(Exception):
    """What the simulator did is not what the client was promised."""


def agree(what, seen, wanted):
    if seen != wanted:
        raise Disagreement("%s: %.500r instead of %.500r" % (what, seen, wanted))


def until(what, question, seconds=60):
    """Asks until the answer is true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if question():
                return
        except (PowerFlexClientException, ScaleIOError) as error:
            # While the MDM changes hands nobody answers.
            last = error
        else:
            last = None
        if time.monotonic() > deadline:
            raise Disagreement("%s never came; last: %s" % (what, last))
        time.sleep(0.05)


def done(answer):
    """What was answered to PyPowerFlex's transport; raises as its own methods do."""
    response, body = answer
    if response.status_code != 200:
        raise PowerFlexClientException("Failed. Error: %s" % body)
    return body


@contextlib.contextmanager
def time_held():
    """No time passes in the simulated world meanwhile."""
    order("hold")
    try:
        yield
    finally:
        order("go")


def order(what):
    print(what, flush=True)
    sys.stdin.readline()


def refused(code, call, *args, **kwargs):
    """Calls, and makes sure that the MDM refuses with this code."""
    try:
        answer = call(*args, **kwargs)
    except ScaleIOError as error:
        agree("%s%r" % (call.__name__, args), error.error_code, code)
        return
    except PowerFlexClientException as error:
        found = re.search(r"'errorCode': (\d+)", str(error))
        agree("%s%r said %s" % (call.__name__, args, error), found and int(found.group(1)), code)
        return
    # Raw calls hand the refusal back.
    response = answer[0] if isinstance(answer, tuple) else answer
    if not hasattr(response, "status_code") or response.status_code == 200:
        raise Disagreement("%s%r was not refused with %d: %r" % (call.__name__, args, code, answer))
    agree("%s%r" % (call.__name__, args), response.json()["errorCode"], code)


def raises(kind, call, *args, **kwargs):
    """Calls, and makes sure that the client raises just this."""
    try:
        answer = call(*args, **kwargs)
    except kind:
        return
    raise Disagreement("%s%r: %r instead of %s" % (call.__name__, args, answer, kind.__name__))
