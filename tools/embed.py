#!/usr/bin/env python3
"""embed.py - writes the rule files below a folder as one C table.

usage: embed.py OUT.c OUT.d RULES NAME...   (NAME: yara, hashes: folders of RULES)

The depfile names files and folders, so that a rule that is added or removed is noticed too.
"""
import os
import sys

out, dep, top = sys.argv[1:4]
files, folders = [], [top] if os.path.isdir(top) else []
for name in sys.argv[4:]:
    folder = os.path.join(top, name)
    if os.path.isdir(folder):
        folders.append(folder)
        files += [os.path.join(folder, f) for f in sorted(os.listdir(folder))
                  if f.endswith(('.yar', '.yara', '.txt', '.hsb', '.csv'))]

with open(out, 'w') as c:
    c.write('/* made by tools/embed.py; do not edit */\n#include "scan/bundle.h"\n\n')
    for i, path in enumerate(files):
        data = open(path, 'rb').read() + b'\0'  # never an empty array; not counted
        c.write(f'static const unsigned char rule_{i}[] = {{\n')
        for at in range(0, len(data), 20):
            c.write('    ' + ', '.join(str(b) for b in data[at:at + 20]) + ',\n')
        c.write('};\n')
    c.write('const struct scan_embedded scan_embedded[] = {\n')
    for i, path in enumerate(files):
        name = 'built-in:' + os.path.relpath(path, top)
        c.write(f'    {{"{name}", rule_{i}, sizeof rule_{i} - 1}},\n')
    c.write('    {NULL, NULL, 0},\n};\n')
    c.write(f'const size_t scan_n_embedded = {len(files)};\n')
with open(dep, 'w') as d:
    d.write(out + ': ' + ' '.join(p.replace(' ', '\\ ') for p in files + folders) + '\n')
