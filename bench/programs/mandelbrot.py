def inside(cr, ci):
    zr = zi = 0.0
    for _ in range(50):
        rr = zr * zr
        ii = zi * zi
        if rr + ii > 4.0:
            return 0
        zi = 2.0 * (zr * zi) + ci
        zr = rr - ii + cr
    return 1


def main():
    count = 0
    for y in range(200):
        for x in range(200):
            count += inside(x * 0.015 - 2.0, y * 0.015 - 1.5)
    return count
