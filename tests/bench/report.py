# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/PERFORMANCE.md and its plots from docs/performance.json: what stands between <!-- NAME --> and <!-- /NAME --> is written anew."""
import json, os, re, shutil, subprocess

import live as live_rows, offline as offline_rows, scale
from benchlib import TOP, median

DOC = os.path.join(TOP, 'docs', 'PERFORMANCE.md')
NONE_COUNTS = 'no run counts'
DATA = os.path.join(TOP, 'docs', 'performance.json')


def load():
    if not os.path.exists(DATA):
        return {}
    with open(DATA) as f:
        return json.load(f)


def save(results):
    with open(DATA, 'w') as f:
        json.dump(results, f, indent=1)
        f.write('\n')


def table(head, rows):
    """Markdown; the first column is text, the others are numbers."""
    lines = ['| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
    return '\n'.join(lines + ['| ' + ' | '.join(r) + ' |' for r in rows])


def joined(*parts):
    return '\n\n'.join(p for p in parts if p)


def number(v, form='%.2f'):
    return '' if v is None else form % v


def with_spread(s, form='%.2f'):
    """median (low to high)"""
    if not s:
        return ''
    return '%s (%s to %s)' % tuple(form % s[k] for k in ('median', 'low', 'high'))


def machine(m):
    return 'Measured %s: %s, %d processors, kernel %s, %d rounds%s.' % (m['when'], m['cpu'], m['processors'], m['kernel'], m['rounds'], m.get('versions', ''))


def offline(results):
    out = []
    for name, per in results['rows'].items():
        rows = [[row, with_spread(v['cpu']), number(v.get('own')), number(v.get('of_ndpi'), '%.2f x'), number(v.get('strict_of_ndpi'), '%.2f x'), number(v['rss_mib'], '%.0f')] for row, v in per.items()]
        out.append('**%s**\n\n' % results['captures'][name] + table(['', 'user + system, s', 'own cost, s', "of nDPI's own cost", 'the same, less our reader', 'peak memory, MiB'], rows))
    return machine(results['machine']) + '\n\n' + joined(offline_goals(results['rows'], results.get('two workers', {})), *out, two_workers(results.get('two workers', {}))) + '\n\n![own cost](performance-offline.svg)'


def two_workers(rows):
    return rows and '**Two captures on two workers, of one on one**\n\n' + table(['', 'in own cost', 'by the clock'], [[what, with_spread(v['own']), with_spread(v['elapsed'])] for what, v in rows.items()])


def live(results):
    rows, ratios = results['rows'], results['ratios']
    out = []
    for family in ('v4', 'v6'):
        lines = []
        for row, v in rows.items():
            cells = [row]
            for metric, form in (('kept-alive', '%.0f'), ('connections', '%.0f'), ('bulk', '%.1f'), ('p50', '%.2f'), ('p99', '%.2f')):
                key = metric + ' ' + family
                of = ratios.get(row, {}).get(key)
                cells.append(with_spread(v.get(key), form) + ('' if of is None else ', **%.2f x**' % of))
            lines.append(cells)
        out.append('**IP%s**\n\n' % family + table(['', 'kept-alive, requests/s', 'a connection a request, /s', 'bulk, Gbit/s', 'p50, ms', 'p99, ms'], lines))
    cpu = [[row, with_spread(v['cpu']), number(ratios[row].get('cpu'), '%.2f x')] for row, v in rows.items() if v.get('cpu')]
    out.append('**Processor time of what stands between**\n\n' + table(['', 'µs for each packet over the interface', 'of its ceiling'], cpu))
    if results['refused']:
        out.append('Runs that do not count:\n\n' + '\n'.join('- %s: %s' % (row, why) for row, all in results['refused'].items() for why in all))
    return machine(results['machine']) + '\n\n' + joined(live_goals(rows, ratios, results['refused']), *out) + '\n\n![rates](performance-live.svg)'


def goals(rows):
    """rows: (what, value, unit, the bound, whether it is a lower one); value None: not measured, left out; NONE_COUNTS: measured, and no run counts.
    Bound None: to compare with."""
    out = []
    for what, v, unit, bound, least in rows:
        if v is None:
            continue
        holds = v != NONE_COUNTS and bound and (v >= bound if least else v <= bound)
        wanted = bound and ['%s %g%s' % ('at least' if least else 'at most', bound, unit), 'yes' if holds else '**no**']
        out.append([what, v if v == NONE_COUNTS else '%.3g%s' % (v, unit)] + (wanted or ['', '']))
    return out and table(['', 'measured', 'wanted', 'holds'], out)


def offline_goals(rows, two):
    def of(capture, row, key):
        return rows.get(capture, {}).get(row, {}).get(key)

    suricata, eve = of('http', offline_rows.SURICATA_EVE, 'own'), of('http', offline_rows.EVE, 'own')
    return goals([
        ("HTTP, no events, of nDPI's own cost", of('http', offline_rows.QUIET, 'of_ndpi'), ' x', 0.5, False),
        ("HTTP, every event, of nDPI's own cost", of('http', offline_rows.EVE, 'of_ndpi'), ' x', 1.0, False),
        ("HTTP, Suricata's own cost with EVE, of ours", suricata / eve if suricata and eve else None, ' x', 16, True),
        ("blend, every event, of nDPI's own cost", of('blend', offline_rows.EVE, 'of_ndpi'), ' x', 0.6, False),
        ('blend, peak memory', of('blend', offline_rows.EVE, 'rss_mib'), ' MiB', 64, False),
    ] + [('two captures on two workers, of one on one, in own cost: ' + what, median(v['own']), ' x', 1.8, True) for what, v in two.items()])


def live_goals(rows, ratios, refused):
    def of(row, metric):
        return NONE_COUNTS if row in refused and row not in rows else ratios.get(row, {}).get(metric)

    def of_nothing(row, metric):
        mine, nothing = rows.get(row, {}).get(metric), rows.get(live_rows.NOTHING, {}).get(metric)
        return mine['median'] / nothing['median'] if mine and nothing else None

    out = []
    for row, least in ((live_rows.NFQ, 0.95), (live_rows.OFFLOAD, 0.95), (live_rows.TC, 0.9), (live_rows.MIXED, 0.95)):
        out += [('%s, %s IP%s, of its ceiling' % (row, rate, family), of(row, '%s %s' % (rate, family)), ' x', least, True) for rate in live_rows.RATES for family in ('v4', 'v6')]
        if row == live_rows.NFQ:
            out += [('%s, p99 IP%s, of its ceiling' % (row, family), of(row, 'p99 ' + family), ' x', 1.1, False) for family in ('v4', 'v6')]
        if row == live_rows.OFFLOAD:
            out += [('%s, %s IP%s, of nothing' % (row, rate, family), of_nothing(row, '%s %s' % (rate, family)), ' x', bound, True)
                    for rate, bound in (('bulk', 0.95), ('kept-alive', 0.85)) for family in ('v4', 'v6')]
        if row == live_rows.TC:
            out.append(('%s, processor time a packet, of its ceiling' % row, of(row, 'cpu'), ' x', 3, False))
            out += [('%s, bulk IP%s, of nothing' % (live_rows.TC_BPF, family), of(live_rows.TC_BPF, 'bulk ' + family), ' x', 0.95, True) for family in ('v4', 'v6')]
    out += [('%s, %s IP%s, share of its ceiling beside those of nfq and tc' % (live_rows.MIXED, rate, family), of(live_rows.MIXED, 'share %s %s' % (rate, family)), ' x', 0.95, True)
            for rate in live_rows.RATES for family in ('v4', 'v6')]
    out += [('%s, %s IP%s, of what its halves predict' % (row, rate, family), of(row, 'predicted %s %s' % (rate, family)), ' x', bound, True)
            for row, bound in ((live_rows.MIXED, 0.95), (live_rows.BOTH, None)) for rate in live_rows.RATES for family in ('v4', 'v6')]
    return goals(out)


def scaling(results):
    return machine(results['machine']) + '\n\n' + goals([(what, results['rows'][name]['median'], ' ' + unit, most, False) for name, what, unit, most in scale.ROWS
                                                         if results['rows'].get(name)])


def plot(path, title, names, series):
    """Bars side by side, one cluster for each name: series {row: [value or None, ...]}. Needs gnuplot; without it the plot stays as it was."""
    if not shutil.which('gnuplot'):
        print('gnuplot is not installed (Debian: gnuplot-nox): %s stays as it is' % os.path.basename(path))
        return
    data = '\n'.join(['"' + '" "'.join(['x', *series]) + '"'] + [' '.join(['"%s"' % n] + ['?' if v[i] is None else '%g' % v[i] for v in series.values()]) for i, n in enumerate(names)])
    script = ('set terminal svg size 1000,460 font "sans-serif,12" background "white"\nset output "%s"\nset title "%s"\nset datafile missing "?"\nset style data histogram\n'
              'set style histogram clustered gap 1\nset style fill solid 0.9 border -1\nset boxwidth 0.9\nset yrange [0:*]\nset grid ytics\nset key below\n'
              '$data << EOD\n%s\nEOD\nplot for [i=2:%d] $data using i:xtic(1) title columnheader(i)\n') % (path, title, data, len(series) + 1)
    subprocess.run(['gnuplot'], input=script, text=True, check=True)
    with open(path) as f:
        lines = [line.rstrip() for line in f]      # gnuplot leaves white space at their ends
    with open(path, 'w') as f:
        f.write('\n'.join(lines) + '\n')


def plots(results):
    if 'offline' in results:
        rows = results['offline']['rows']
        names = list(rows)
        all_rows = [r for r in next(iter(rows.values())) if 'own' in rows[names[0]][r]]
        plot(os.path.join(TOP, 'docs', 'performance-offline.svg'), 'Own cost of a capture, seconds of one processor', names, {r: [rows[n].get(r, {}).get('own') for n in names] for r in all_rows})


    if 'live' in results:
        rows, none = results['live']['rows'], results['live']['rows'].get('nothing', {})
        names = [k for k in none if not k.startswith('p')]
        plot(os.path.join(TOP, 'docs', 'performance-live.svg'), 'Rates, of what goes with nothing between', names,
             {row: [v[k]['median'] / none[k]['median'] if v.get(k) else None for k in names] for row, v in rows.items() if row != 'nothing'})


PARTS = {'offline': offline, 'live': live, 'scale': scaling}


def write(results):
    with open(DOC) as f:
        text = f.read()
    for name, part in PARTS.items():
        if name in results:
            text = re.sub(r'(<!-- %s -->\n).*?(<!-- /%s -->)' % (name, name), lambda m: m.group(1) + part(results[name]) + '\n' + m.group(2), text, flags=re.S)
    with open(DOC, 'w') as f:
        f.write(text)
    plots(results)
