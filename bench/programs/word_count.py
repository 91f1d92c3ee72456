from collections import Counter


def main():
    part = " ".join(f"word{i * i % 4099}" for i in range(1000))
    text = " ".join([part] * 100)
    counts = Counter(text.split(" "))
    return 1000 * max(counts.values()) + len(counts)
