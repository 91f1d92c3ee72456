from functools import reduce
from operator import add


def main():
    return reduce(add, map(lambda x: x * 3, filter(lambda x: x % 2 == 0, range(1_000_000))))  # noqa: C417
