def scattered(i):
    return i * 7919 % 1000003


def main():
    m = {}
    for i in range(100_000):
        m[scattered(i)] = i * 2
    total = 0
    for i in range(100_000):
        total += m[scattered(i)]
    return total
