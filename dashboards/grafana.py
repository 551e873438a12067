"""How does a line of the tables look to Grafana? Panels, variables, links and annotations, as Grafana 10.4 and newer read them.

In queries `<S>`, `<D>` and `<P>` stand for the matchers of the system, the protection domain and the storage pool that
are chosen above. An alert that is named gives its runbook to the description, and its thresholds to the panel.
"""

RUNBOOKS = "https://github.com/scaleio-framework/scaleio-framework/blob/main/docs/runbooks/"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

MATCHERS = {"<S>": 'system=~"$system"'}
MATCHERS["<D>"] = MATCHERS["<S>"] + ',protection_domain=~"$protection_domain"'
MATCHERS["<P>"] = MATCHERS["<D>"] + ',storage_pool=~"$storage_pool"'

# Labels of objects: the heading of their column, and the dashboard that tells more.
OBJECTS = {
    "system": ("System", "scaleio-system"),
    "protection_domain": ("Domain", "scaleio-rebuild"),
    "fault_set": ("Fault set", "scaleio-sds"),
    "storage_pool": ("Pool", "scaleio-pool"),
    "sds": ("SDS", "scaleio-sds"),
    "device": ("Device", "scaleio-devices"),
    "volume": ("Volume", "scaleio-volumes"),
    "sdc": ("SDC", "scaleio-sdc"),
}


def coloured(colours):
    options = {word: {"color": colour, "index": at} for at, (word, colour) in enumerate(colours.items())}
    return {"mappings": [{"type": "value", "options": options}], "custom.cellOptions": {"type": "color-text"}}


# Labels that name no object: the heading of their column, and how it looks.
FACTS = {
    "mdm": ("MDM", {}),
    "os": ("OS", {}),
    "alertname": ("Alert", {"custom.width": 230, "links": [{"title": "Open its runbook", "url": RUNBOOKS + "${__value.raw}.md", "targetBlank": True}]}),
    "alert": ("Alert", {"custom.width": 390}),
    "alertstate": ("State", {"custom.width": 90} | coloured({"firing": "red", "pending": "yellow"})),
    "severity": ("Severity", {"custom.width": 90} | coloured({"critical": "red", "major": "red", "warning": "yellow", "minor": "yellow", "info": "blue"})),
}

# What each dashboard can be asked for; the tables say it, `build.py` fills it in.
VARIABLES_OF = {}

GOOD, WARNING, BAD, NEUTRAL = "green", "yellow", "red", "text"


def top(number, by, how, selector):
    """The lines of those that are at the top at the end of the time that is shown: whole lines, instead of what was at
    the top at each moment."""
    return f"{how} by ({by}) ({selector}) and on ({by}) topk({number}, {how} by ({by}) ({selector} @ end()))"


def expression(text):
    for mark, matchers in MATCHERS.items():
        text = text.replace(mark, matchers)
    return " ".join(text.split())


def described(says, do, alerts):
    """What a panel shows, and what to do when it is red."""
    links = ", ".join(f"[{alert}]({RUNBOOKS}{alert}.md)" for alert in alerts)
    text = says
    if do:
        text += f"\n\n**When it is red:** {do}"
    if links:
        text += f"\n\nAlerts: {links}"
    return text


def steps(warning=None, bad=None, below=False, base=GOOD):
    """Thresholds: from these values on it is a warning, or bad; or below them."""
    pairs = [(colour, value) for colour, value in ((WARNING, warning), (BAD, bad)) if value is not None]
    if not pairs:
        return [{"color": base, "value": None}]
    if below:
        # Grafana counts upwards: what is worst comes first.
        pairs.sort(key=lambda pair: pair[1])
        colours = [colour for colour, _ in pairs] + [GOOD]
        values = [None] + [value for _, value in pairs]
        return [{"color": colour, "value": value} for colour, value in zip(colours, values)]
    return [{"color": base, "value": None}] + [{"color": colour, "value": value} for colour, value in pairs]


def field(unit, thresholds, **more):
    defaults = {
        "unit": unit,
        "mappings": more.pop("mappings", []),
        "thresholds": {"mode": "absolute", "steps": thresholds},
        "color": {"mode": more.pop("colour", "thresholds")},
        "custom": more.pop("custom", {}),
    }
    return {key: value for key, value in (defaults | more).items() if value is not None}


def words(pairs):
    """Shows numbers as words: {0: ("down", BAD)}."""
    options = {str(number): {"text": text, "color": colour, "index": at} for at, (number, (text, colour)) in enumerate(pairs.items())}
    return [{"type": "value", "options": options}]


UP = words({0: ("down", BAD), 1: ("up", GOOD)})
NORMAL = words({0: ("not normal", BAD), 1: ("normal", GOOD)})
ACTIVE = words({0: ("no", NEUTRAL), 1: ("yes", "blue")})
YES = words({0: ("no", NEUTRAL), 1: ("yes", BAD)})


def panel(kind, title, queries, says, do, alerts, size, config, options, table=False, instant=False, transformations=(), none=None):
    queries = [(queries, "")] if isinstance(queries, str) else queries
    targets = []
    for number, (text, legend) in enumerate(queries):
        target = {"refId": "ABCDEFGHIJKLMNOP"[number], "datasource": SOURCE, "expr": expression(text), "editorMode": "code"}
        if table:
            target |= {"format": "table", "instant": True, "range": False}
        elif kind in ("stat", "bargauge"):
            target |= {"legendFormat": legend or "__auto", "instant": instant, "range": not instant}
        else:
            target |= {"legendFormat": legend or "__auto", "range": True}
        targets.append(target)
    made = {
        "type": kind,
        "title": title,
        "description": described(says, do, alerts),
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": config,
        "options": options,
    }
    if none:
        # What is said instead of "No data", where nothing is a good answer; a cell that is empty says nothing of it.
        config["defaults"]["noValue"] = none
        if table:
            config["overrides"].insert(0, {"matcher": {"id": "byRegexp", "options": "/.*/"}, "properties": [{"id": "noValue", "value": "–"}]})
    if transformations:
        made["transformations"] = list(transformations)
    return made | {"gridPos": {"x": 0, "y": 0, "w": size[0], "h": size[1]}}


def reduced():
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(title, query, unit, says, do="", alerts=(), warning=None, bad=None, below=False, size=(4, 4), graph=True, base=GOOD, none=None, **more):
    """One number that shows how it is."""
    coloured = warning is not None or bad is not None or more.get("mappings")
    config = {"defaults": field(unit, steps(warning, bad, below, base if coloured else NEUTRAL), **more), "overrides": []}
    options = {
        "colorMode": "background" if coloured else "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
        "reduceOptions": reduced(),
        "showPercentChange": False,
        "wideLayout": True,
    }
    # Without a graph only now counts: the newest of older values would go on saying what is over.
    return panel("stat", title, query, says, do, alerts, size, config, options, instant=not graph, none=none)


def lines(title, queries, unit, says, do="", alerts=(), warning=None, bad=None, stacked=False, many=False, size=(12, 8), overrides=(), stepped=False, none=None, **more):
    """Values along time. `many` lines get their newest and largest value in a table."""
    limits = warning is not None or bad is not None
    if unit == "short":
        # Things that are counted: no halves, and nothing is no line at the bottom of a hundred.
        more.setdefault("decimals", 0)
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if stepped else "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 0 if many else 8,
        "gradientMode": "none",
        "showPoints": "never",
        "pointSize": 5,
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisPlacement": "auto",
        "axisLabel": "",
        "axisColorMode": "text",
        "scaleDistribution": {"type": "linear"},
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "thresholdsStyle": {"mode": "dashed" if limits else "off"},
    }
    if unit == "short":
        custom["axisSoftMax"] = 1
    more.setdefault("min", 0)
    config = {
        "defaults": field(unit, steps(warning, bad), colour="palette-classic", custom=custom, **more),
        "overrides": list(overrides),
    }
    legend = {
        "showLegend": True,
        "displayMode": "table" if many else "list",
        "placement": "right" if many and size[0] > 12 else "bottom",
        "calcs": ["lastNotNull", "max"] if many else [],
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, queries, says, do, alerts, size, config, options, none=none)


def bars(title, query, unit, says, do="", alerts=(), warning=None, bad=None, below=False, size=(12, 8), objects=(), **more):
    """One bar for each object."""
    coloured = warning is not None or bad is not None
    if not coloured:
        more.setdefault("colour", "continuous-BlPu")
    link.given = objects
    links = [link(objects[-1], lambda label: "${__field.labels." + label + "}")] if objects else []
    link.given = ()
    config = {"defaults": field(unit, steps(warning, bad, below), min=0, links=links or None, **more), "overrides": []}
    options = {
        "displayMode": "basic",
        "valueMode": "color",
        "namePlacement": "auto",
        "orientation": "horizontal",
        "reduceOptions": reduced(),
        "showUnfilled": True,
        "sizing": "auto",
        "minVizHeight": 16,
        "minVizWidth": 8,
        # Not as large as the room allows: names would be cut.
        "text": {"titleSize": 13, "valueSize": 15},
    }
    return panel("bargauge", title, query, says, do, alerts, size, config, options, instant=True)


def link(label, value):
    """A way to the dashboard of an object, with everything that names it; time and data source stay."""
    title, uid = OBJECTS[label]
    places = ["system", "protection_domain", "storage_pool", "sds", "volume", "sdc"]
    names = [name for name in places if name in VARIABLES_OF[uid] and (name == "system" or name in link.given)]
    asked = "".join(f"&var-{name}={value(name)}" for name in names)
    return {"title": f"Open {title.lower() if title not in ('SDS', 'SDC') else title}", "url": f"/d/{uid}?${{datasource:queryparam}}&${{__url_time_range}}{asked}", "targetBlank": False}


link.given = ()


def column(heading, unit="short", warning=None, bad=None, below=False, mappings=None, bar=False, width=None, decimals=None):
    """A column of numbers; one with thresholds is coloured."""
    return {"heading": heading, "unit": unit, "steps": steps(warning, bad, below) if warning is not None or bad is not None else None,
            "mappings": mappings, "bar": bar, "width": width, "decimals": decimals}


def table(title, labels, columns, says, do="", alerts=(), size=(24, 8), sort=None, descending=True, more_labels=(), none=None):
    """Objects, a line each. `labels` name them; each column is a query that is summed by these labels.

    `more_labels` are shown too, without being what the columns are joined by.
    """
    shown = [*labels, *more_labels]
    by = ", ".join(shown)
    queries = [(f"sum by ({by}) ({query})", "") for query, _ in columns]
    single = len(columns) == 1
    headings = {label: OBJECTS[label][0] if label in OBJECTS else FACTS.get(label, (label.replace("_", " ").capitalize(),))[0] for label in shown}
    values = {("Value" if single else f"Value #{'ABCDEFGHIJKLMNOP'[at]}"): spec["heading"] for at, (_, spec) in enumerate(columns)}
    order = {name: at for at, name in enumerate([*headings, *values])}
    hidden = {"Time": True} | {name: True for name, heading in values.items() if heading is None}
    overrides = []
    link.given = shown
    for label in shown:
        if label in OBJECTS and label != "fault_set":
            ways = [link(label, lambda name: "${__data.fields." + headings[name].replace(" ", "") + "}")]
            overrides.append({"matcher": {"id": "byName", "options": headings[label]}, "properties": [{"id": "links", "value": ways}]})
    link.given = ()
    for label in shown:
        # An id of digits alone is no number.
        properties = [{"id": "unit", "value": "string"}]
        properties += [{"id": name, "value": value} for name, value in (FACTS[label][1] if label in FACTS else {}).items()]
        overrides.append({"matcher": {"id": "byName", "options": headings[label]}, "properties": properties})
    for _, spec in columns:
        if spec["heading"] is None:
            continue
        properties = [{"id": "unit", "value": spec["unit"]}]
        if spec["mappings"]:
            properties.append({"id": "mappings", "value": spec["mappings"]})
        if spec["decimals"] is not None:
            properties.append({"id": "decimals", "value": spec["decimals"]})
        if spec["steps"]:
            properties.append({"id": "thresholds", "value": {"mode": "absolute", "steps": spec["steps"]}})
        if spec["bar"]:
            properties += [{"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
                           {"id": "min", "value": 0}, {"id": "max", "value": 1}]
        elif spec["steps"] or spec["mappings"]:
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        if spec["width"]:
            properties.append({"id": "custom.width", "value": spec["width"]})
        overrides.append({"matcher": {"id": "byName", "options": spec["heading"]}, "properties": properties})
    transformations = [] if single else [{"id": "merge", "options": {}}]
    transformations.append({"id": "organize", "options": {"excludeByName": hidden, "indexByName": order, "renameByName": headings | {name: heading for name, heading in values.items() if heading}}})
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True, "minWidth": 60}
    config = {"defaults": field("short", steps(base=NEUTRAL), custom=custom), "overrides": overrides}
    options = {
        "frameIndex": 0,
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": sort, "desc": descending}] if sort else [],
    }
    return panel("table", title, queries, says, do, alerts, size, config, options, table=True, transformations=transformations, none=none)


def painted(colours):
    """Lines of these names have these colours everywhere."""
    return [{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
            for name, colour in colours.items()]


def severities():
    return painted({"critical": "red", "warning": "yellow", "info": "blue"})


def row(title, *panels, collapsed=False):
    return title, panels, collapsed


# How each variable is asked for, and within what.
ASKED = {
    "job": ("Job", "label_values(scaleio_up, job)"),
    "instance": ("Instance", 'label_values(scaleio_framework_build_info{job=~"$job"}, instance)'),
    "system": ("System", "label_values(scaleio_up, system)"),
    "protection_domain": ("Protection domain", 'label_values(scaleio_protection_domain_active{<S>}, protection_domain)'),
    "storage_pool": ("Storage pool", 'label_values(scaleio_storage_pool_info{<D>}, storage_pool)'),
    "sds": ("SDS", 'label_values(scaleio_sds_info{<D>}, sds)'),
    "volume": ("Volume", 'label_values(scaleio_volume_info{<P>}, volume)'),
    "sdc": ("SDC", 'label_values(scaleio_sdc_info{<S>}, sdc)'),
    "consistency_group": ("Consistency group", 'label_values(scaleio_replication_group_rpo_seconds{<S>}, consistency_group)'),
}
CHOICES = {"horizon": ("Growth of the last", ["7d", "14d", "30d"], "14d"), "top": ("Show", ["5", "10", "20"], "10")}


def variable(name):
    if name == "datasource":
        return {"type": "datasource", "name": name, "label": "Data source", "query": "prometheus", "regex": "", "refresh": 1,
                "hide": 0, "multi": False, "includeAll": False, "skipUrlSync": False, "options": []}
    if name in CHOICES:
        label, values, chosen = CHOICES[name]
        options = [{"text": value, "value": value, "selected": value == chosen} for value in values]
        return {"type": "custom", "name": name, "label": label, "query": ",".join(values), "hide": 0, "multi": False,
                "includeAll": False, "skipUrlSync": False, "options": options, "current": {"text": chosen, "value": chosen, "selected": True}}
    label, query = ASKED[name]
    query = expression(query)
    # `.*` instead of a list of all names: a system has thousands of volumes.
    return {"type": "query", "name": name, "label": label, "datasource": SOURCE,
            "query": {"query": query, "refId": "StandardVariableQuery"}, "regex": "", "refresh": 2, "sort": 1, "hide": 0, "multi": True,
            "includeAll": True, "allValue": ".*", "skipUrlSync": False, "options": [], "current": {"text": "All", "value": "$__all", "selected": True}}


def mark(name, colour, query, title, text, tags):
    return {"name": name, "datasource": SOURCE, "enable": True, "hide": False, "iconColor": colour, "expr": expression(query),
            "step": "60s", "titleFormat": title, "textFormat": text, "tagKeys": tags, "useValueForTime": False}


def annotations(variables):
    system = "<S>" if "system" in variables else ""
    return [
        {"builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard", "datasource": {"type": "grafana", "uid": "-- Grafana --"},
         "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)"},
        mark("Alerts that fire", "red",
             'ALERTS{alertname=~"Scaleio.+",alertstate="firing",severity=~"critical|warning"' + (',' + system if system else '') + '}',
             "{{alertname}}", "{{system}} {{protection_domain}} {{storage_pool}} {{sds}} {{device}} {{volume}} {{sdc}}", "severity,area"),
        mark("Maintenance", "blue", f"count by (system, protection_domain, sds) (scaleio_sds_maintenance{{{system}}})",
             "SDS {{sds}} is in maintenance", "{{system}} {{protection_domain}}", ""),
        mark("Upgrade", "purple", 'scaleio_system_upgrade_state{state!="no_upgrade"' + (',' + system if system else '') + '}',
             "Upgrade: {{state}}", "{{system}}", ""),
        mark("Upgrade by the controller", "purple", f"scaleio_upgrade_active{{{system}}} == 1",
             "An upgrade runs", "{{system}}", ""),
        mark("Primary MDM moved", "orange", f"changes(scaleio_mdm_primary_changes_total{{{system}}}[2m]) > 0",
             "The primary MDM moved", "{{system}}", ""),
    ]


def dashboard(uid, title, says, variables, rows, time="now-6h", refresh="1m"):
    panels, y, number = [], 0, 0
    for heading, members, collapsed in rows:
        number += 1
        head = {"type": "row", "id": number, "title": heading, "collapsed": collapsed, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        panels.append(head)
        y += 1
        x, height = 0, 0
        for member in members:
            place = member["gridPos"]
            if x + place["w"] > 24:
                x, y, height = 0, y + height, 0
            number += 1
            placed = {"id": number} | member | {"gridPos": {**place, "x": x, "y": y}}
            (head["panels"] if collapsed else panels).append(placed)
            x += place["w"]
            height = max(height, place["h"])
        y += height
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["scaleio"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "timezone": "browser",
        "refresh": refresh,
        "time": {"from": time, "to": "now"},
        "timepicker": {},
        "templating": {"list": [variable(name) for name in ("datasource", *variables)]},
        "annotations": {"list": annotations(variables)},
        "links": [{"type": "dashboards", "title": "ScaleIO", "tags": ["scaleio"], "icon": "external link", "tooltip": "", "url": "",
                   "asDropdown": True, "includeVars": True, "keepTime": True, "targetBlank": False}],
        "panels": panels,
    }
