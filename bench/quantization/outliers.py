#!/usr/bin/env python3
"""Draws where outliers are, before and after scaling, as SVG.

  ondine quantize -m MODEL --scales SCALES --calibrate TEXT --sites sites.json -o w8a8.gguf
  outliers.py sites.json > outliers.svg

Each panel is a site. The two bars of a layer, without and with scales, are the largest channel's
greatest magnitude divided by the median channel's, on a logarithmic axis: all channels share one
range, so that it says how little of it is left to most of them.
"""

import json
import math
import statistics
import sys

TITLES = {"attention": "inputs of queries, keys, values", "output": "inputs of the output projection",
          "mlp": "inputs of gate and up", "down": "inputs of down"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 150, 46, 24, 34
COLOURS = {"largest": "#c2553a", "largest_scaled": "#2f6fb0"}
LABELS = {"largest": "as the model has it", "largest_scaled": "with scales"}


def ratio(values):
    """The largest channel above the median one."""
    middle = statistics.median(values)
    return max(values) / middle if middle > 0 else 1.0


def panel(rows, title, top, decades):
    layers = len(rows)
    step = (WIDTH - LEFT - 8) / layers
    out = [f'<text x="{LEFT}" y="{top - 7}" font-weight="bold">{title}</text>']
    for decade in range(decades + 1):
        y = top + HEIGHT * (1 - decade / decades)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10 ** decade:,}</text>')
    for row in rows:
        x = LEFT + step * (row["layer"] + 0.5)
        for shift, key in ((-0.2, "largest"), (0.2, "largest_scaled")):
            height = HEIGHT * math.log10(max(ratio(row[key]), 1)) / decades
            out.append(f'<rect x="{x + (shift - 0.16) * step:.1f}" y="{top + HEIGHT - height:.1f}" '
                       f'width="{0.32 * step:.1f}" height="{height:.1f}" fill="{COLOURS[key]}"/>')
        if row["layer"] % 5 == 0:
            out.append(f'<text x="{x:.1f}" y="{top + HEIGHT + 13}" text-anchor="middle">'
                       f'{row["layer"]}</text>')
    return out


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        sites = json.load(file)
    decades = max(1, math.ceil(max(math.log10(ratio(site["largest"])) for site in sites)))
    height = TOP + 20 + len(TITLES) * (HEIGHT + GAP)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
          f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">'
          f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>')
    x = LEFT
    for key, label in LABELS.items():
        print(f'<rect x="{x}" y="6" width="10" height="10" fill="{COLOURS[key]}"/>'
              f'<text x="{x + 14}" y="15">{label}</text>')
        x += 150
    print(f'<text x="{x}" y="15">largest channel / median channel, by layer</text>')
    for i, (site, title) in enumerate(TITLES.items()):
        rows = [row for row in sites if row["site"] == site]
        print("\n".join(panel(rows, title, TOP + 20 + i * (HEIGHT + GAP), decades)))
    print("</svg>")


if __name__ == "__main__":
    main()
