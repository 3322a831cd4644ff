// The job with Node.js's readline: node readline.cjs JOB IN OUT LANG,LANG...   (IN and OUT may be - for a pipe)
const fs = require('fs');
const readline = require('readline');
const {once} = require('events');

const [job, source, target, langs] = process.argv.slice(2);
const wanted = new Set(langs.split(','));
const input = source === '-' ? process.stdin : fs.createReadStream(source, {highWaterMark: 1 << 18});
const output = target === '-' ? process.stdout : fs.createWriteStream(target);

function codePoints(text) {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) count--;
  }
  return count;
}

async function main() {
  let pending = [];
  let size = 0;
  for await (const line of readline.createInterface({input, crlfDelay: Infinity})) {
    const record = JSON.parse(line);
    if (!(record.score < 0.5 && wanted.has(record.lang))) continue;
    let result = line;
    if (job !== 'J3') {
      delete record.mtime;
      record.source = record.path;
      delete record.path;
      record.n = codePoints(record.text);
      result = JSON.stringify(record);
    }
    pending.push(result, '\n');
    size += result.length;
    if (size > 1 << 18) {
      const text = pending.join('');
      pending = [];
      size = 0;
      if (!output.write(text)) await once(output, 'drain');
    }
  }
  output.end(pending.join(''));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
