# SPDX-License-Identifier: GPL-2.0-or-later
"""callgrind: how the tests count instructions. The same binary gives the same count on any processor of its kind: the libraries that choose
their code by the processor's features (libc, nettle) are told to use what every x86-64 has."""
import os, re

PLAIN = 'AVX,AVX2,AVX512F,AVX512VL,AVX512BW,BMI1,BMI2,ERMS,FSRM,LZCNT,MOVBE,POPCNT,SSE3,SSSE3,SSE4_1,SSE4_2,AVX_Fast_Unaligned_Load'
ENV = dict(os.environ, GLIBC_TUNABLES='glibc.cpu.hwcaps=' + ','.join('-' + f for f in PLAIN.split(',')), NETTLE_FAT_OVERRIDE='none')


def argv(out, *options):
    """What to put before a command; its counts go to `out` (and out.N)."""
    return ['valgrind', '--quiet', '--tool=callgrind', '--callgrind-out-file=' + out, *options]


def total(path):
    """Of one dump: (what it was asked for by, instructions); (None, 0): none there."""
    with open(path) as f:
        text = f.read()
    what, count = re.search(r'^desc: Trigger: (?:Client Request: )?(.*)$', text, re.M), re.search(r'^(?:totals|summary): (\d+)', text, re.M)
    return (what.group(1), int(count.group(1))) if what and count else (None, 0)


BY_FILE = ('--compress-strings=no', '--compress-pos=no')


def by_file(path, ours, functions=False):
    """{source file: instructions} of a run with the options BY_FILE: what the functions of each file took by themselves, with all that they called
    in objects other than `ours` (a library's work belongs to who asked for it). functions: {(source file, function): instructions}."""
    costs, key = {}, None
    where = callee = source = ''
    inside = calling = False
    with open(path) as f:
        for line in f:
            if line[:3] == 'ob=':
                where = line[3:-1]
            elif line[:3] == 'fl=':
                source = line[3:-1]
            elif line[:3] == 'fn=':
                inside, key = where == ours, (source, line[3:-1]) if functions else source
                callee = where
            elif line[:4] == 'cob=':
                callee = line[4:-1]
            elif line[:6] == 'calls=':
                calling = True
            elif line[:1].isdigit():
                if inside and not (calling and callee == ours):
                    costs[key] = costs.get(key, 0) + int(line.split()[1])
                if calling:
                    calling, callee = False, where
    return costs
