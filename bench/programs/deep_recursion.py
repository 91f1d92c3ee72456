import sys


def down(n):
    return 0 if n == 0 else 1 + down(n - 1)


def main():
    sys.setrecursionlimit(200_000)
    return sum(down(100_000) for _ in range(10))
