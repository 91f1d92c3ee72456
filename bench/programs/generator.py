def numbers():
    i = 0
    while i < 100_000:
        yield i
        i += 1


def main():
    total = 0
    for x in numbers():
        total += x
    return total
