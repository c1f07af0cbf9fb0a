# SPDX-License-Identifier: GPL-2.0-or-later
"""Offline rows: captures from files, one processor, user + system time, peak memory. Own cost is the total less that of the reading floor, libpcap's. tapq has
a reader of its own, which costs less: its own cost over that floor is told too (`strict`), so that cheaper reading is not taken for cheaper inspecting."""
import os, shutil, tempfile
from concurrent.futures import ThreadPoolExecutor

from benchlib import BUILD, Refused, capture, count_lines, installed, measure, median, program, say, spread

CAPTURES = ('http', 'tls', 'blend')
HTTP = {'http': 180000, 'http-small': 32000}		# requests
FLOWS = {'http': 9000, 'http-small': 1600}
FLOOR, OURS = 'libpcap, 64 bytes touched', 'our reader, 64 bytes touched'
EVE, QUIET, NDPI, SURICATA, SURICATA_EVE = 'tapq, every event to a file', 'tapq --no-events', 'nDPI (ndpiReader -q)', 'Suricata, no output', 'Suricata, EVE'


def told_all(name, events):
    """What is not told was not inspected: such a run is worth nothing."""
    if name not in HTTP:
        return
    http, flows = count_lines(events, '"event_type":"http"', '"event_type":"flow"')
    if http < HTTP[name] * 0.99 or flows != FLOWS[name]:
        raise Refused('%d of %d requests and %d of %d connections were told' % (http, HTTP[name], flows, FLOWS[name]))


def rows(work):
    """{row: command of (capture, where events go)}"""
    tapq = os.path.join(BUILD, 'tapq')
    out = {
        FLOOR: lambda path, events: [program('read'), path],
        OURS: lambda path, events: [program('read_ours'), path],
        QUIET: lambda path, events: [tapq, 'replay', '--no-events', path],
        EVE: lambda path, events: [tapq, 'replay', '-o', events, path],
    }
    if installed('ndpiReader'):
        out[NDPI] = lambda path, events: ['ndpiReader', '-q', '-i', path]
    else:
        say('ndpiReader is not installed (Debian: libndpi-bin): its row is left out')
    if installed('suricata'):
        logs = os.path.join(work, 'suricata')
        os.makedirs(logs, exist_ok=True)
        plain = ['suricata', '-c', '/etc/suricata/suricata.yaml', '-S', '/dev/null', '--runmode', 'single', '-l', logs]
        out[SURICATA] = lambda path, events: plain + ['--set', 'outputs.1.eve-log.enabled=no', '-r', path]
        out[SURICATA_EVE] = lambda path, events: plain + ['-r', path]
    else:
        say('suricata is not installed: its rows are left out')
    return out


def read_once(path):
    """Into the page cache: else the first row, which is the floor of all, pays for the disk."""
    with open(path, 'rb', buffering=0) as f:
        while f.read(1 << 20):
            pass


def run(rounds, captures=CAPTURES):
    got = {}
    with tempfile.TemporaryDirectory(dir=os.path.join(BUILD, 'bench')) as work:
        commands = rows(work)
        for number in range(rounds):
            for name in captures:
                read_once(capture(name))
                for row, command in commands.items():
                    events = os.path.join(work, 'eve.json')
                    m = measure(command(capture(name), events))
                    if row == EVE:
                        told_all(name, events)
                    got.setdefault(name, {}).setdefault(row, []).append(m)
                    say('round %d  %-6s %-32s %6.2f s  %6.1f MiB' % (number + 1, name, row, m['cpu'], m['rss'] / 1024))
        shutil.rmtree(os.path.join(work, 'suricata'), ignore_errors=True)
    return {name: finish(per) for name, per in got.items()}


def finish(per):
    """Medians, own costs and ratios to nDPI's own cost."""
    floor, ours = (median(spread([m['cpu'] for m in per[row]])) for row in (FLOOR, OURS))
    out = {}
    for row, ms in per.items():
        out[row] = {'cpu': spread([m['cpu'] for m in ms]), 'rss_mib': max(m['rss'] for m in ms) / 1024}
        if row not in (FLOOR, OURS):
            out[row]['own'] = out[row]['cpu']['median'] - floor
        if row in (EVE, QUIET):
            out[row]['strict'] = out[row]['cpu']['median'] - ours
    if NDPI in out and out[NDPI]['own'] > 0:
        for row in out:
            if 'own' in out[row]:
                out[row]['of_ndpi'] = out[row]['own'] / out[NDPI]['own']
            if 'strict' in out[row]:
                out[row]['strict_of_ndpi'] = out[row]['strict'] / out[NDPI]['own']
    return out


# ---- two captures on two workers ----

TWO = {'HTTP, no events': ('http', ['--no-events']), 'HTTP, every event': ('http', ['-o', '/dev/null']), 'blend, every event': ('blend', ['-o', '/dev/null'])}


def two_workers(rounds, small=False):
    """{what: {'own', 'elapsed'}}: how many times the work of one worker with one capture two workers do with two, one beside the other: by the processor time of each and by
    the clock, less what reading takes: our reader's, alone and two of them side by side. {} where there is one processor."""
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    if len(cpus) < 2:
        say('one processor: nothing to say about two workers')
        return {}
    got = {what: {'own': [], 'elapsed': []} for what in TWO}
    with ThreadPoolExecutor(2) as pool:
        for number in range(rounds):
            for what, (name, options) in TWO.items():
                path = capture(name + '-small' if small else name)
                read_once(path)
                replay, read = [os.path.join(BUILD, 'tapq'), 'replay', *options], [program('read_ours'), path]
                one, floor = measure(replay + [path]), measure(read)
                two, floors = measure(replay + ['--workers', '2', path, path], cpu='%d,%d' % tuple(cpus)), list(pool.map(lambda cpu: measure(read, cpu=cpu), cpus))
                own = (one['cpu'] - floor['cpu'], (two['cpu'] - sum(f['cpu'] for f in floors)) / 2)
                clock = (one['elapsed'] - floor['elapsed'], two['elapsed'] - max(f['elapsed'] for f in floors))
                for key, (alone, both) in (('own', own), ('elapsed', clock)):
                    got[what][key].append(2 * alone / both if both > 0 else None)
                say('round %d  %-20s two workers: %.2f x in own cost, %.2f x by the clock' % (number + 1, what, *(got[what][key][-1] or 0 for key in ('own', 'elapsed'))))
    return {what: {key: spread(v) for key, v in per.items()} for what, per in got.items()}
