// Answers queries with DataScript: JSON in on stdin, JSON out on stdout; argument: where it is installed.
const d = require(process.argv[2] + "/node_modules/datascript");
const many = { ":db/cardinality": ":db.cardinality/many" };
const ref = { ":db/valueType": ":db.type/ref" };
const schema = {
  a: many, b: many, c: {}, r: { ...many, ...ref }, s: ref,
  p: { ...many, ...ref, ":db/isComponent": true },
};

function answer({ facts, query, rules, input, pull, entity }) {
  try {
    const db = d.init_db(facts, schema);
    if (pull) return { value: d.pull(db, pull, entity) };
    return { value: input === undefined ? d.q(query, db, rules) : d.q(query, db, rules, input) };
  } catch (error) {
    return { error: String(error.message || error).slice(0, 200) };
  }
}

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map(answer)));
