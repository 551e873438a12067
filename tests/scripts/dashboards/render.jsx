// Draws dashboards with Grafana's own libraries, as far as they are published: panel frame, time series, stat, bar
// gauge and table, field configuration, units, thresholds, mappings and transformations. Variables, queries and the
// grid are done here as Grafana does them. The result says what went wrong: see `#result`.
const React = require('react');
const { createRoot } = require('react-dom/client');
const ui = require('@grafana/ui');
const data = require('@grafana/data');
const { lastValueFrom } = require('rxjs');

const asked = new URLSearchParams(location.search);
const PROMETHEUS = asked.get('prometheus');
const NOW = Number(asked.get('now'));
const WIDTH = Number(asked.get('width') || 1600);
const GRID_HEIGHT = 38;
const theme = data.createTheme({ colors: { mode: asked.get('theme') || 'dark' } });
const problems = [];

// Outside of Grafana these registries are empty.
data.standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(data.standardTransformers).map((t) => [t.id, t])).values()].map((t) => ({
    id: t.id, aliasIds: [], name: t.name, description: '', transformation: t, editor: () => null,
  })));
const taken = (id, more) => ({
  id, name: id, settings: {}, process: (value) => value, shouldApply: () => true, override: () => null, editor: () => null, ...more,
});
const STANDARD = ['unit', 'decimals', 'min', 'max', 'thresholds', 'mappings', 'color', 'displayName', 'noValue', 'links'];
const CUSTOM = ['drawStyle', 'lineInterpolation', 'lineWidth', 'fillOpacity', 'gradientMode', 'showPoints', 'pointSize', 'spanNulls',
  'stacking', 'axisPlacement', 'axisLabel', 'axisColorMode', 'scaleDistribution', 'hideFrom', 'thresholdsStyle', 'align', 'cellOptions',
  'inspect', 'filterable', 'width', 'minWidth', 'axisSoftMax', 'lineStyle'];
const registry = new data.FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((id) => taken(id, { path: id })),
  ...CUSTOM.map((id) => taken(`custom.${id}`, { path: id, isCustom: true })),
]);

const duration = (seconds) => (seconds % 3600 === 0 ? `${seconds / 3600}h` : `${seconds / 60}m`);

async function prometheus(path, parameters) {
  const response = await fetch(`${PROMETHEUS}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data;
}

// One dashboard: its time, its variables, and what went wrong in it.
class Board {
  constructor(json) {
    this.json = json;
    const long = json.time.from === 'now-30d';
    // The test's past has a sample every two hours, and every two minutes for the last six hours.
    this.range = long ? 15 * 86400 : 6 * 3600 - 120;
    this.step = long ? 7200 : 120;
    this.variables = { datasource: 'prometheus' };
    this.time = { from: data.dateTime(NOW * 1000 - this.range * 1000), to: data.dateTime(NOW * 1000) };
    this.time.raw = { from: this.time.from, to: this.time.to };
  }

  wrong(where, what) { problems.push({ dashboard: this.json.uid, where, what: String(what) }); }

  // `$name`, `${name}` and `${name:format}`, as far as the dashboards use them.
  fill(text, scoped = {}) {
    const known = {
      __interval: duration(this.step), __rate_interval: duration(this.step * 4), __range: duration(this.range - (this.range % 3600)),
      __url_time_range: `from=${(NOW - this.range) * 1000}&to=${NOW * 1000}`, ...this.variables,
    };
    return text.replace(/\$\{__data\.fields\.(\w+)\}|\$\{__field\.labels\.(\w+)\}|\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g, (all, column, label, long, format, short) => {
      if (column || label) return (scoped[column || label] ?? all);
      const name = long || short;
      if (!(name in known)) return all;
      if (format === 'queryparam') return `var-${name}=${encodeURIComponent(known[name])}`;
      return known[name];
    });
  }

  async loadVariables() {
    for (const variable of this.json.templating.list) {
      const given = asked.get(`var-${variable.name}`);
      if (variable.type === 'custom') this.variables[variable.name] = given || variable.current.value;
      if (variable.type !== 'query') continue;
      const question = /^label_values\((.+), (\w+)\)$/.exec(this.fill(variable.query.query));
      const values = question && await prometheus(`label/${question[2]}/values`, { 'match[]': question[1], start: NOW - this.range, end: NOW });
      if (!values || !values.length) this.wrong(`variable ${variable.name}`, `has no values: ${variable.query.query}`);
      this.variables[variable.name] = given || variable.allValue;
    }
  }

  async ask(panel, target) {
    const query = this.fill(target.expr);
    if (query.includes('$')) this.wrong(panel.title, `a variable is not known: ${query}`);
    // What is empty now may have been there in the time shown; that is for the test of the queries to say.
    return target.range
      ? (await prometheus('query_range', { query, start: NOW - this.range, end: NOW, step: this.step })).result
      : (await prometheus('query', { query, time: NOW })).result;
  }

  async frames(panel) {
    const frames = [];
    for (const target of panel.targets || []) {
      let series = [];
      try { series = await this.ask(panel, target); } catch (error) { this.wrong(panel.title, error); }
      if (target.format === 'table') frames.push(this.asTable(panel, target, series));
      else frames.push(...series.map((one) => this.asSeries(target, one)));
    }
    return frames;
  }

  asTable(panel, target, series) {
    const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
    const value = panel.targets.length > 1 ? `Value #${target.refId}` : 'Value';
    return data.toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: data.FieldType.time, values: series.map((one) => one.value[0] * 1000) },
        ...labels.map((name) => ({ name, type: data.FieldType.string, values: series.map((one) => one.metric[name] ?? '') })),
        { name: value, type: data.FieldType.number, values: series.map((one) => Number(one.value[1])) },
      ],
    });
  }

  // Where there is no sample the line is broken, as Grafana's data source does it.
  withGaps(samples) {
    const known = new Map(samples);
    const count = Math.floor(this.range / this.step);
    return Array.from({ length: count + 1 }, (_, at) => NOW - this.range + at * this.step).map((time) => [time, known.get(time) ?? null]);
  }

  asSeries(target, one) {
    const samples = one.values ? this.withGaps(one.values) : [one.value];
    const legend = target.legendFormat === '__auto' ? undefined : target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => one.metric[label] ?? '');
    return data.toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: data.FieldType.time, config: {}, values: samples.map((sample) => sample[0] * 1000) },
        { name: 'Value', type: data.FieldType.number, labels: one.metric, config: { displayNameFromDS: legend }, values: samples.map((sample) => (sample[1] === null ? null : Number(sample[1]))) },
      ],
    });
  }

  async prepared(panel) {
    let frames = await this.frames(panel);
    if (panel.transformations) frames = await lastValueFrom(data.transformDataFrame(panel.transformations, frames, { interpolate: (text) => text }));
    frames = data.applyFieldOverrides({
      data: frames, fieldConfig: panel.fieldConfig, replaceVariables: (text) => this.fill(text), theme, timeZone: 'utc', fieldConfigRegistry: registry,
    });
    this.checkLinks(panel, frames);
    return frames;
  }

  // Every link of the first line of a table, and of each bar, leads to a place that is named in full.
  checkLinks(panel, frames) {
    for (const frame of frames) {
      const cells = Object.fromEntries(frame.fields.map((field) => [data.getFieldDisplayName(field, frame).replaceAll(' ', ''), field.values[0]]));
      for (const field of frame.fields.filter((one) => panel.type === 'table' || one.type === data.FieldType.number)) {
        for (const link of field.config.links || []) {
          const url = this.fill(link.url.replace('${__value.raw}', field.values[0]), { ...cells, ...field.labels });
          if (frame.length && url.includes('$')) this.wrong(panel.title, `a link does not resolve: ${url}`);
        }
      }
    }
  }
}

function Body({ board, panel, frames, width, height }) {
  const options = panel.options;
  if (!frames.some((frame) => frame.length)) return <div style={{ padding: 16, color: theme.colors.text.secondary, textAlign: 'center' }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  if (panel.type === 'timeseries') {
    return <ui.TimeSeries frames={frames} width={width} height={height} timeRange={board.time} timeZone="utc" legend={options.legend} options={{}} tweakScale={(scale) => scale} tweakAxis={(axis) => axis} />;
  }
  if (panel.type === 'table') {
    return <ui.Table data={frames[0]} width={width} height={height} initialSortBy={options.sortBy} noHeader={false} />;
  }
  const values = data.getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: (text) => board.fill(text), theme, data: frames,
    sparkline: options.graphMode === 'area', timeZone: 'utc',
  });
  const one = panel.type === 'stat'
    ? ({ value, width, height, count, alignmentFactors }) => <ui.BigValue alignmentFactors={alignmentFactors} value={value.display} sparkline={value.sparkline} count={count} width={width} height={height} colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode} textMode={options.textMode} theme={theme} />
    : ({ value, width, height, alignmentFactors }) => <ui.BarGauge alignmentFactors={alignmentFactors} text={options.text} value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} width={width} height={height} orientation="horizontal" displayMode={options.displayMode} valueDisplayMode={options.valueMode} theme={theme} itemSpacing={8} lcdCellWidth={12} />;
  return <ui.VizRepeater source={values} getValues={() => values} getAlignmentFactors={(all) => data.getDisplayValueAlignmentFactors(all)} renderCounter={0} width={width} height={height} orientation={panel.type === 'stat' ? 'auto' : 'horizontal'} minVizHeight={options.minVizHeight} itemSpacing={8} autoGrid={panel.type === 'stat'} renderValue={one} />;
}

class Guard extends React.Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { this.props.board.wrong(this.props.panel.title, `cannot be drawn: ${error}`); }
  render() { return this.state.error ? <b>{String(this.state.error)}</b> : this.props.children; }
}

const DRAWN = ['timeseries', 'stat', 'bargauge', 'table'];

async function draw(file) {
  const board = new Board(await (await fetch(file)).json());
  await board.loadVariables();
  const all = board.json.panels.flatMap((panel) => [panel, ...(panel.panels || [])]);
  const column = (WIDTH - 16) / 24;
  const shown = [];
  for (const panel of all) {
    const { x, y, w, h } = panel.gridPos;
    const place = { position: 'absolute', left: 8 + x * column, top: 60 + y * GRID_HEIGHT, width: w * column - 8, height: h * GRID_HEIGHT - 8 };
    if (panel.type === 'row') {
      shown.push(<div key={panel.id} style={{ ...place, fontSize: 16, lineHeight: '30px' }}>▾ {panel.title}</div>);
      continue;
    }
    if (!DRAWN.includes(panel.type)) board.wrong(panel.title, `${panel.type} is not drawn by the published libraries`);
    const frames = await board.prepared(panel);
    shown.push(
      <div key={panel.id} style={place}>
        <Guard board={board} panel={panel}>
          <ui.PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
            {(width, height) => <Guard board={board} panel={panel}><Body board={board} panel={panel} frames={frames} width={width} height={height} /></Guard>}
          </ui.PanelChrome>
        </Guard>
      </div>);
  }
  const height = 68 + GRID_HEIGHT * Math.max(...all.map(({ gridPos }) => gridPos.y + gridPos.h));
  const chosen = Object.entries(board.variables).filter(([name]) => name !== 'datasource').map(([name, value]) => `${name}: ${value === '.*' ? 'All' : value}`).join('   ');
  return { uid: board.json.uid, height, panels: all.length, page: (
    <div key={board.json.uid} style={{ position: 'relative', width: WIDTH, height }}>
      <div style={{ position: 'absolute', left: 16, top: 14, fontSize: 20 }}>{board.json.title} <span style={{ fontSize: 13, marginLeft: 24, color: theme.colors.text.secondary, whiteSpace: 'pre' }}>{chosen}</span></div>
      {shown}
    </div>) };
}

async function main() {
  const style = document.createElement('style');
  style.textContent = `${require('uplot/dist/uPlot.min.css')} body{margin:0;background:${theme.colors.background.canvas}}`;
  document.head.appendChild(style);
  const boards = [];
  for (const file of asked.getAll('dashboard')) boards.push(await draw(file));
  const root = document.createElement('div');
  document.body.appendChild(root);
  createRoot(root).render(
    <data.ThemeContext.Provider value={theme}>
      <ui.GlobalStyles />
      <div style={{ color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily }}>{boards.map((board) => board.page)}</div>
    </data.ThemeContext.Provider>);
  await new Promise((done) => setTimeout(done, 3000));
  report({ boards: boards.map(({ uid, height, panels }) => ({ uid, height, panels })), problems });
}

function report(result) {
  const element = document.createElement('script');
  element.type = 'application/json';
  element.id = 'result';
  element.textContent = JSON.stringify(result).replaceAll('<', '\\u003c');
  document.body.appendChild(element);
}

window.addEventListener('error', (event) => problems.push({ dashboard: '', where: 'page', what: String(event.message) }));
main().catch((error) => report({ boards: [], problems: [...problems, { dashboard: '', where: 'page', what: String(error.stack) }] }));
