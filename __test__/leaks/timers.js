'use strict';
// An interval for each job, never cleared.
class Job { constructor(i){ this.id=i; this.payload='payload '+i; this.steps=[i,{i}]; } }
function schedule(job){ setInterval(() => job.id, 3600000).unref(); }
for (let i=0;i<10000;i++) schedule(new Job(i));
exports.schedule=schedule;
