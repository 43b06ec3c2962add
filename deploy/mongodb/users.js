// Make the two users of Annals, each with a role that allows what it does and nothing else
// (roles.json). mongosh runs this once, in the database MONGO_INITDB_DATABASE, when the volume is new.
const fs = require("fs");

const roles = JSON.parse(fs.readFileSync("/docker-entrypoint-initdb.d/roles.json", "utf8"));
const name = process.env.MONGO_INITDB_DATABASE;

for (const [role, { user, password, privileges }] of Object.entries(roles)) {
  const secret = process.env[password];
  if (!secret) {
    throw new Error(`${password} is not set: start the stack with make up, which makes it`);
  }
  db.createRole({
    role,
    roles: [],
    privileges: Object.entries(privileges).map(([collection, actions]) => ({
      resource: { db: name, collection },
      actions,
    })),
  });
  db.createUser({ user, pwd: secret, roles: [{ role, db: name }] });
}
