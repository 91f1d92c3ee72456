def main():
    v = []
    for i in range(1_000_000):
        v.append(i)  # noqa: PERF402
    return sum(v)
