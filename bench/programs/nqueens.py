def safe(row, queens):
    distance = 1
    while queens is not None:
        queen, queens = queens
        if queen == row or queen == row + distance or queen == row - distance:
            return False
        distance += 1
    return True


def solutions(size, queens, placed):
    if placed == size:
        return 1
    found = 0
    for row in range(1, size + 1):
        if safe(row, queens):
            found += solutions(size, (row, queens), placed + 1)
    return found


def main():
    return sum(solutions(8, None, 0) for _ in range(10))
