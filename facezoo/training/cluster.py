"""Several machines by TF_CONFIG: they meet, or say who is missing."""

import faulthandler
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Whoever trains on JAX may have none.
    import tensorflow as tf

# Long enough for machines that are still being started.
TIMEOUT_S = 300.0
_POLL_S = 0.2


def has_cluster() -> bool:
    """Returns whether TF_CONFIG names more than one machine.

    Raises:
        ValueError: TF_CONFIG is no JSON of the expected form.
    """
    return len(_addresses(_read())) > 1


def machine_name() -> str:
    """Returns what TF_CONFIG calls this machine, such as "worker-1"."""
    task = _read().get("task", {})
    return f"{task.get('type', 'worker')}-{task.get('index', 0)}"


def join_cluster(timeout_s: float | None = None) -> "tf.distribute.MultiWorkerMirroredStrategy":
    """Meets the other machines of TF_CONFIG; to be called before TensorFlow computes anything.

    Args:
        timeout_s: How long to wait for them, seconds; by default FACEZOO_CLUSTER_TIMEOUT from the
            environment, or 300.

    Raises:
        ValueError: TF_CONFIG does not name several machines and which of them this is.
        TimeoutError: A machine did not come.
    """
    config = _read()
    addresses = _addresses(config)
    if len(addresses) < 2:
        raise ValueError(
            "strategy='multi_worker' needs TF_CONFIG with two machines or more, such as "
            '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {os.environ.get("TF_CONFIG", "nothing")}.'
        )
    if timeout_s is None:
        timeout_s = float(os.environ.get("FACEZOO_CLUSTER_TIMEOUT", TIMEOUT_S))
    _meet(addresses, _own_address(config), timeout_s)
    import tensorflow as tf

    # TensorFlow waits without end for a machine that is lost just now, deaf to signals.
    faulthandler.dump_traceback_later(timeout_s, exit=True)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        faulthandler.cancel_dump_traceback_later()


def _read() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        config = json.loads(text)
        _addresses(config)
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"TF_CONFIG cannot be read ({error}). Received: {text}.") from error
    return config


def _addresses(config: dict[str, Any]) -> list[str]:
    return [address for job in config.get("cluster", {}).values() for address in job]


def _own_address(config: dict[str, Any]) -> str:
    try:
        task = config["task"]
        return config["cluster"][task["type"]][int(task["index"])]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            "TF_CONFIG does not say which of its machines this is. Expected: "
            f'"task": {{"type": .., "index": ..}} that fits "cluster". Received: {config}.'
        ) from error


def _meet(addresses: list[str], own: str, timeout_s: float) -> None:
    """Waits until every machine answers at its port, which TensorFlow's server then takes over."""
    deadline = time.monotonic() + timeout_s
    port = int(own.rpartition(":")[2])
    with socket.create_server(("", port)):
        missing = [address for address in addresses if address != own]
        while missing := [address for address in missing if not _answers(address)]:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{', '.join(missing)} of TF_CONFIG did not answer within {timeout_s:g} s, and "
                    f"{own} does not train alone. Start the training on every machine; "
                    "FACEZOO_CLUSTER_TIMEOUT sets the seconds to wait."
                )
            time.sleep(_POLL_S)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_POLL_S):
            return True
    except OSError:
        return False
