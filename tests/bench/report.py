# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/PERFORMANCE.md and its plots from docs/performance.json: what stands between <!-- NAME --> and <!-- /NAME --> is written anew."""
import json, os, re, shutil, subprocess

import scale
from benchlib import TOP

DOC = os.path.join(TOP, 'docs', 'PERFORMANCE.md')
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
        rows = [[row, with_spread(v['cpu']), number(v.get('own')), number(v.get('of_ndpi'), '%.2f x'), number(v['rss_mib'], '%.0f')] for row, v in per.items()]
        out.append('**%s**\n\n' % results['captures'][name] + table(['', 'user + system, s', 'own cost, s', "of nDPI's own cost", 'peak memory, MiB'], rows))
    return machine(results['machine']) + '\n\n' + '\n\n'.join(out) + '\n\n![own cost](performance-offline.svg)'


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
    return machine(results['machine']) + '\n\n' + '\n\n'.join(out) + '\n\n![rates](performance-live.svg)'


def scaling(results):
    lines = []
    for name, what, unit, most in scale.ROWS:
        s = results['rows'].get(name)
        if s:
            lines.append([what, with_spread(s, '%.3g' if s['median'] < 1000 else '%.0f') + ' ' + unit, '' if most is None else '%g' % most, '' if most is None else 'yes' if s['median'] <= most else '**no**'])
    return machine(results['machine']) + '\n\n' + table(['', 'measured', 'at most', 'holds'], lines)


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
