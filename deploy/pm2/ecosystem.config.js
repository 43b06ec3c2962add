// The sync agent under pm2. `annals sync install pm2` writes a copy with the paths of this machine.
// By hand: `pm2 start deploy/pm2/ecosystem.config.js && pm2 save`.
const command = ["annals", "sync", "run"];
const environment = {};

module.exports = {
  apps: [
    {
      name: "annals-sync",
      script: command[0],
      args: command.slice(1),
      interpreter: "none",
      env: environment,
      exec_mode: "fork",
      instances: 1,
      autorestart: true,
      // 3: a setting is wrong, 7: another agent has the buffer; both need a person.
      stop_exit_codes: [0, 3, 7],
      exp_backoff_restart_delay: 1000,
      kill_timeout: 30000,
      max_memory_restart: "400M",
      watch: false,
      time: true,
    },
  ],
};
