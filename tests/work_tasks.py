"Tasks for other processes; this module imports nothing that takes long to load."
import os
import signal
import sys
import time


def process(number, _):
    time.sleep(0.02)
    return os.getpid()


def killed_once(number, flag):
    if number == 5 and not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def kills(number, _):
    os.kill(os.getpid(), signal.SIGKILL)


def card(number, _):
    time.sleep(0.05)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def facts(number, _):
    return sys.modules["torch"].get_num_threads(), os.getcwd(), os.environ.get("LEUKNB_CACHE")


def name_of(network, _):
    from leuknb.lib.architectures import registered
    return registered(network).build()[0].out_features
