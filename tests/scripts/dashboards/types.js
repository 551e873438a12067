// Judges dashboards by the types that Grafana publishes, of an older and of a newer line: node types.js MODULES DASHBOARDS
// MODULES is the folder in which `npm ci` ran. JSON Schemas are made of the types once and kept there.
const fs = require('fs');
const path = require('path');
const Ajv = require('ajv');
const { createGenerator } = require('ts-json-schema-generator');

const [modules, dashboards] = process.argv.slice(2);
const LINES = ['schema-10-4', '@grafana/schema'];
const PANELS = { timeseries: 'TimeSeries', stat: 'Stat', bargauge: 'BarGauge', table: 'Table' };

// Grafana's Prometheus data source reads these of a mark; the published types know marks of its own database only.
const OF_MARKS = ['expr', 'step', 'titleFormat', 'textFormat', 'tagKeys', 'useValueForTime'];
// Options that the newer line needs and the older one does not know, or the reverse.
const LATER = { stat: ['showPercentChange', 'percentChangeColorMode', 'wideLayout'], bargauge: ['sizing', 'namePlacement', 'minVizHeight', 'legend', 'maxVizHeight'], table: [], timeseries: [] };

// Each line in a place of its own: its types name their parts by the package's usual name, which is the newer line's.
function alone(line) {
  const from = path.join(modules, 'node_modules', line);
  if (line === '@grafana/schema') return from;
  const home = path.join(modules, 'lines', line, 'node_modules/@grafana/schema');
  if (!fs.existsSync(home)) fs.cpSync(from, home, { recursive: true });
  return home;
}

// The types lie in other places from line to line.
function schema(line, places, type) {
  const home = alone(line);
  const version = JSON.parse(fs.readFileSync(path.join(home, 'package.json'))).version;
  const found = places.map((place) => path.join(home, 'dist', place)).find((place) => fs.existsSync(place));
  if (!found) throw new Error(`${line} has none of ${places.join(', ')}`);
  const kept = path.join(modules, 'schemas', `${version}-${path.basename(found, '.d.ts')}-${type}.json`);
  if (!fs.existsSync(kept)) {
    const made = createGenerator({ path: found, type, skipTypeCheck: true, additionalProperties: false }).createSchema(type);
    fs.mkdirSync(path.dirname(kept), { recursive: true });
    fs.writeFileSync(kept, JSON.stringify(made));
  }
  const judge = new Ajv({ strict: false, allErrors: true }).compile(JSON.parse(fs.readFileSync(kept)));
  return { version, judge };
}

const problems = [];
let judged = 0;
for (const line of LINES) {
  const whole = schema(line, ['types/raw/dashboard/x/types.gen.d.ts', 'esm/raw/dashboard/x/dashboard_types.gen.d.ts'], 'Dashboard');
  const options = Object.fromEntries(Object.entries(PANELS).map(([kind, name]) => [kind, schema(line, [`esm/raw/composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen.d.ts`], 'Options')]));
  const say = (where, { version, judge }) => (judge.errors || []).forEach((error) =>
    problems.push(`${where}, Grafana ${version}: ${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`));
  for (const name of fs.readdirSync(dashboards).filter((file) => file.endsWith('.json'))) {
    const dashboard = JSON.parse(fs.readFileSync(path.join(dashboards, name)));
    for (const panel of dashboard.panels.flatMap((one) => [one, ...(one.panels || [])])) {
      const kind = options[panel.type];
      if (panel.type === 'row') continue;
      if (!kind) { problems.push(`${name}: ${panel.title}: a kind of panel that is not judged: ${panel.type}`); continue; }
      judged += 1;
      kind.judge(panel.options);
      kind.judge.errors = (kind.judge.errors || []).filter((error) => !LATER[panel.type].includes(error.params.additionalProperty || error.params.missingProperty));
      say(`${name}: ${panel.title}`, kind);
    }
    for (const mark of dashboard.annotations.list) for (const field of OF_MARKS) delete mark[field];
    whole.judge(dashboard);
    say(name, whole);
  }
}
if (!judged) problems.push('nothing was judged');
if (problems.length) {
  console.error(problems.slice(0, 40).join('\n'));
  process.exit(1);
}
