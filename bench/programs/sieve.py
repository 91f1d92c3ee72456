def main():
    n = 1_000_000
    flags = [True] * n
    found = 0
    for i in range(2, n):
        if flags[i]:
            found += 1
            for j in range(i * i, n, i):
                flags[j] = False
    return found
