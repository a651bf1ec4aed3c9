// client.js - one visit of tuf-js; usage and answers as client.py beside it.
const fs = require('node:fs');
const path = require('node:path');
const { Updater } = require('tuf-js');

async function visit(state, metadata, targets, root, folder, paths) {
  fs.mkdirSync(state, { recursive: true });
  fs.mkdirSync(folder, { recursive: true });
  const trusted = path.join(state, 'root.json');
  if (!fs.existsSync(trusted)) fs.copyFileSync(root, trusted);
  const updater = new Updater({
    metadataDir: state, metadataBaseUrl: metadata, targetDir: folder, targetBaseUrl: targets,
    forceCache: false, config: { fetchRetry: 0 },
  });
  await updater.refresh();
  for (const name of paths) {
    const info = await updater.getTargetInfo(name);
    const file = info === undefined ? null : await updater.downloadTarget(info);
    console.log(JSON.stringify({ path: name, file }));
  }
}

const [state, metadata, targets, root, folder, ...paths] = process.argv.slice(2);
visit(state, metadata, targets, root, folder, paths).catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
