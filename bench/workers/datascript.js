// A worker for DataScript: requests as lines of JSON on stdin, answers as lines of JSON on stdout.
// Argument: the folder where npm has installed it. Attributes are texts in JavaScript, keywords as values too.
const root = process.argv[2] + "/node_modules/datascript";
const d = require(root);
const fs = require("fs");
const databases = {};
const many = { ":db/cardinality": ":db.cardinality/many" };
const schema = { follows: { ...many, ":db/valueType": ":db.type/ref" }, alias: many, "person/boss": { ":db/valueType": ":db.type/ref" } };
const indexed = { ...schema };
for (const name of ["name", "city", "salary"]) indexed["person/" + name] = { ":db/index": true };

const read = (path) => JSON.parse(fs.readFileSync(path, "utf8"));
const lines = (path) => fs.readFileSync(path, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));

const adds = {
  "add-1": (people) => {
    let db = d.empty_db(schema);
    for (const p of people)
      for (const a of ["name", "last-name", "sex", "age", "salary"]) db = d.db_with(db, [[":db/add", p[":db/id"], a, p[a]]]);
    return db;
  },
  "add-5": (people) => people.reduce((db, p) => d.db_with(db, [p]), d.empty_db(schema)),
  "add-all": (people) => d.db_with(d.empty_db(schema), people),
};

function work(request) {
  const db = databases[request.db];
  if (request.add) {
    const people = read(request.people);
    return () => adds[request.add](people);
  }
  if (request.init) {
    const datoms = lines(request.init);
    return () => d.init_db(datoms, schema);
  }
  if (request.pull) return () => d.pull(db, request.pull, request.entity);
  if (request.lookups) return () => { for (const e of request.lookups) d.datoms(db, ":eavt", e, request.attribute)[0]; };
  const inputs = [db];
  if (request.rules) inputs.push(request.rules);
  inputs.push(...(request.inputs || []));
  return () => d.q(request.query, ...inputs);
}

const prepared = new Map();
function thunk(request) {
  const { do: _, sample_ms: __, clock: ___, ...rest } = request;
  const key = JSON.stringify(rest);
  if (!prepared.has(key)) prepared.set(key, work(rest));
  return prepared.get(key);
}

const actions = {
  version: () => read(root + "/package.json").version,
  forget: () => { prepared.clear(); for (const name in databases) delete databases[name]; },
  load: ({ db, file }) => {
    const started = performance.now();
    databases[db] = d.init_db(lines(file), file.includes("joins") ? indexed : schema);
    return performance.now() - started;
  },
  transact: ({ db, people }) => { databases[db] = d.db_with(d.empty_db(schema), read(people)); },
  answer: (request) => {
    const found = thunk(request)();
    return request.add || request.init ? d.datoms(found, ":eavt").length : found;
  },
  time: (request) => {
    const run = thunk(request);
    const now = request.clock === "cpu" ? () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e3; }
                                        : () => performance.now();
    const started = now();
    let count = 0, passed = 0;
    while (!count || passed < request.sample_ms) { run(); count++; passed = now() - started; }
    return passed / count;
  },
};

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { answer: actions[request.do](request) ?? null };
  } catch (error) {
    answer = { error: String(error.message || error).slice(0, 300) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
