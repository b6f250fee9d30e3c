"""HTML of the pages. It is in a module, not in files, so that a page is written anew when its template changes."""

BASE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #222 }
h1 { font-size: 1.3rem }
table { border-collapse: collapse; margin-bottom: 1.5rem }
th, td { border-bottom: 1px solid #ddd; padding: 0.35em 0.7em; text-align: left; vertical-align: top }
th { position: sticky; top: 0; background: #fff }
.differs { background: #fff3d6 }
</style>
<h1>{{ title }}</h1>
{% block content %}{% endblock %}
</html>
"""

TABLE = """\
{% extends "base" %}
{% block content %}
<table>
<thead><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% endblock %}
"""

SETTINGS = """\
{% extends "base" %}
{% block content %}
<p>Every setting of every condition, as it was run. Values that differ from the first condition's are marked.</p>
<table>
<thead><tr><th>setting</th>{% for name in cells %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for key in keys %}
{% set place = loop.index0 %}
<tr><td>{{ key }}</td>
{% for column in cells.values() %}
<td{% if column[place][1] %} class="differs"{% endif %}>{{ column[place][0] }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
<table>
<thead><tr><th>of the study</th><th></th></tr></thead>
<tbody>
{% for key, value in study %}
<tr><td>{{ key }}</td><td>{{ value }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endblock %}
"""

FRONT = """\
<div class="front">
<p><b>The hypothesis</b> (February 2022). A network can answer its training examples with many <i>shallow</i> circuits,
each for a few examples, or with a few <i>general</i> circuits. Gradient descent reinforces a circuit on every example
that it answers, so general circuits should win in the end. In <i>grokking</i>, validation accuracy rises long after
the training examples are memorised. By the hypothesis, general circuits then replace shallow ones.</p>
<table id="verdicts">
<thead><tr><th>Prediction</th><th>Estimate (interval)</th><th>Evidence</th><th>Verdict</th></tr></thead>
<tbody>
{% for row in rows %}
<tr>
<td><b>{{ row.claim }}</b>: {{ row.predicted }}</td>
<td title="{{ sentences[row.claim] }}"><b>{{ row.found }}</b>
{% if row.interval != unknown %}<br>({{ row.interval }}){% endif %}</td>
<td>{{ row.replicas }} replicas</td>
<td class="verdict {{ kinds[row.claim] | replace(" ", "-") }}" title="{{ row.verdict }}">{{ kinds[row.claim] }}</td>
</tr>
{% endfor %}
</tbody>
</table>
<p class="how">Estimates are means over replicas, which are networks trained alike from different seeds. A verdict
follows from its interval and two thresholds, by a rule written down before its result was seen. {{ rest }} In the
pictures, training examples are memorised at <i>t<sub>m</sub></i>, and validation accuracy leaves its plateau at
<i>t<sub>o</sub></i>. Generalisation is complete at <i>t<sub>g</sub></i>.</p>
<div class="pictures">
{% for picture in pictures %}
<figure><img src="{{ picture.uri }}" alt="{{ picture.title }}. {{ picture.description }}">
<figcaption>{{ picture.title }}</figcaption></figure>
{% endfor %}
</div>
</div>
"""
