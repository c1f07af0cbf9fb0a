# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts of the benchmark share: measuring a program, medians, tools that may be missing, results that grow row by row."""
import os, shutil, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('TAPQ_BUILD', os.path.join(TOP, 'build'))
PROGRAMS = os.path.join(BUILD, 'bench')


def program(name):
    return os.path.join(PROGRAMS, name)


def capture(name):
    return os.path.join(PROGRAMS, name + '.pcap')


def measure(argv, out='/dev/null', cpu=None, timeout=900):
    """{'cpu': user + system seconds, 'rss': KiB, 'elapsed': seconds} of a program on one processor (the last one; cpu: another one, or several as "0,1"), its
    output in `out`."""
    if cpu is None:
        cpu = max(os.sched_getaffinity(0))
    r = subprocess.run([program('measure'), str(cpu), out, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
    words = r.stdout.split()
    if r.returncode or not words or words[0] != '0':
        raise RuntimeError('%s: exit %s: %s' % (' '.join(argv), words[0] if words else r.returncode, r.stderr.strip()[-300:]))
    return {'cpu': float(words[1]) + float(words[2]), 'rss': int(words[3]), 'elapsed': float(words[4])}


def installed(tool):
    return shutil.which(tool) is not None


def version_of(*argv):
    try:
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    except OSError:
        return ''
    return (r.stdout.strip().splitlines() or [''])[0]


def spread(values):
    """{'median', 'low', 'high', 'n'} of what the rounds gave."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {'median': statistics.median(values), 'low': min(values), 'high': max(values), 'n': len(values)}


def median(s):
    return s['median'] if s else None


def say(text):
    print(text, flush=True)


def count_lines(path, *needles):
    """How many lines of a file hold each of these."""
    n = [0] * len(needles)
    needles = [x.encode() for x in needles]
    with open(path, 'rb') as f:
        for line in f:
            for i, needle in enumerate(needles):
                n[i] += needle in line
    return n


def policy(rules, apps=False):
    """A policy of so many rules of which the last one matches everything. apps: the one before asks for an application, so that flows are pending."""
    text = 'version: 1\ndefault: {mode: monitor}\ngroups:\n  - {name: nobody, match: {cidr: [203.0.113.0/24, "2001:db8:ffff::/48"]}}\nrules:\n'
    for i in range(1, rules):
        text += '  - {id: %d, from: %s, to: any, ports: [tcp/%d], action: allow}\n' % (i, 'nobody' if i % 2 else 'any', 20000 + i)
    if apps:
        text += '  - {id: 999999, from: any, to: any, apps: [http], action: allow}\n'
    return text + '  - {id: %d, from: any, to: any, action: allow}\n' % rules


class Refused(Exception):
    """A run that does not count; says why."""
