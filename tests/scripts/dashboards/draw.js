// Draws all dashboards in a headless browser: node draw.js MODULES DASHBOARDS WORK PROMETHEUS NOW [PICTURES]
// Writes what was drawn and what went wrong to standard output, as JSON; with PICTURES, also a picture of each.
const fs = require('fs');
const http = require('http');
const path = require('path');
const { execFile } = require('child_process');
const esbuild = require('esbuild');

const [modules, dashboards, work, prometheus, now, pictures] = process.argv.slice(2);

// The pages whose pictures are of one system; on the others all belong together.
const ALL_SYSTEMS = ['fleet.json', 'replication.json'];

function bundle(page) {
  const built = path.join(page, 'render.js');
  return esbuild.build({
    entryPoints: [path.join(__dirname, 'render.jsx')],
    outfile: built, bundle: true, minify: true, format: 'iife', logLevel: 'error',
    loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.woff': 'dataurl', '.css': 'text' },
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    nodePaths: [path.join(modules, 'node_modules')],
  });
}

function serve(page) {
  const folders = { '/dashboards/': dashboards, '/': page };
  const server = http.createServer((request, response) => {
    const asked = new URL(request.url, 'http://page').pathname;
    if (asked === '/') return response.setHeader('content-type', 'text/html').end('<!doctype html><meta charset=utf-8><body><script src=render.js></script>');
    const [prefix, folder] = Object.entries(folders).find(([one]) => asked.startsWith(one));
    const file = path.join(folder, path.basename(asked.slice(prefix.length)));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    return response.end(fs.readFileSync(file));
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

function browser(work, ...more) {
  const profile = fs.mkdtempSync(path.join(work, 'profile-'));
  const fixed = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-first-run', `--user-data-dir=${profile}`];
  return new Promise((done, failed) => execFile('chromium', [...fixed, ...more], { timeout: 150_000, maxBuffer: 1 << 28 }, (error, out) =>
    (error ? failed(new Error(`chromium: ${error.message.slice(0, 2000)}`)) : done(out))));
}

async function main() {
  const page = fs.mkdtempSync(path.join(work, 'page-'));
  await bundle(page);
  const server = await serve(page);
  const files = fs.readdirSync(dashboards).filter((file) => file.endsWith('.json')).sort();
  const url = (some, more = {}) => `http://127.0.0.1:${server.address().port}/?${new URLSearchParams([['prometheus', prometheus], ['now', now],
    ...some.map((file) => ['dashboard', `/dashboards/${file}`]), ...Object.entries(more)])}`;
  const out = await browser(work, '--virtual-time-budget=60000', '--window-size=1600,1000', '--dump-dom', url(files));
  const found = /id="result">(.*?)<\/script>/s.exec(out);
  if (!found) throw new Error(`the page did not come to its end: ${out.slice(0, 2000)}`);
  const result = JSON.parse(found[1]);
  if (pictures) {
    for (const [at, file] of files.entries()) {
      const to = path.join(pictures, `dashboard-${path.basename(file, '.json')}.png`);
      const chosen = ALL_SYSTEMS.includes(file) ? {} : { 'var-system': 'prod' };
      await browser(work, '--virtual-time-budget=20000', `--window-size=1600,${result.boards[at].height}`, `--screenshot=${to}`, url([file], chosen));
    }
  }
  server.close();
  console.log(JSON.stringify(result));
}

main().catch((error) => { console.error(error.stack); process.exit(1); });
