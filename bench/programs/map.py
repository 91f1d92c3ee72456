def main():
    m = {}
    for i in range(100_000):
        m[i] = i * 2
    total = 0
    for i in range(100_000):
        total += m[i]
    return total
