'use strict';

const { test } = require('node:test');
const { expectNoLeak } = require('../../testing.js');
const { close, open } = require('./sessions.js');

test('closed sessions leave nothing behind', () => expectNoLeak(async () => close(await open())));

test('open ones do', () => expectNoLeak(open));
