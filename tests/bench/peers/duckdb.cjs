// The job as one DuckDB COPY with typed columns: node duckdb.cjs JOB IN OUT LANG,LANG...   (.zst by name)
const {DuckDBInstance} = require('@duckdb/node-api');

const [job, source, target, langs] = process.argv.slice(2);
const quote = (text) => `'${text.replace(/'/g, "''")}'`;
const columns = `{id: 'VARCHAR', path: 'VARCHAR', lang: 'VARCHAR', size: 'BIGINT', mtime: 'BIGINT', score: 'DOUBLE',
  uid: 'BIGINT', meta: 'STRUCT(host VARCHAR, tags VARCHAR[], "owner" VARCHAR)', text: 'VARCHAR'}`;
const chosen = job === 'J3' ? '*' : '* EXCLUDE (mtime, path, text), path AS source, text, length(text) AS n';
const zstd = job === 'J2';

async function main() {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`COPY (
      SELECT ${chosen} FROM read_json(${quote(source)}, format = 'newline_delimited',
        compression = '${zstd ? 'zstd' : 'uncompressed'}', columns = ${columns})
      WHERE score < 0.5 AND lang IN (${langs.split(',').map(quote).join(', ')})
    ) TO ${quote(target)} (FORMAT json, COMPRESSION '${zstd ? 'zstd' : 'uncompressed'}')`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
