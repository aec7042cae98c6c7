"""The module that orders.py is given by `--py-files`."""

import time


def discounted(price, number, seconds):
    time.sleep(seconds)
    return price * (0.9 if number % 10 == 0 else 1.0)
