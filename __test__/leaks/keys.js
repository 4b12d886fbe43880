'use strict';
// Times of requests, by request.
class Request {
  constructor(i) {
    this.url = `/item/${i}`;
  }
}
const timings = new Map();
exports.slowest = () => Math.max(...timings.values());
for (let i = 0; i < 20_000; i++) timings.set(new Request(i), i + 0.5);
