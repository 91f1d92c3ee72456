def main():
    return len(",".join(map(str, range(100_000))))
