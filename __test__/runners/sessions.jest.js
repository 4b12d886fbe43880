/* global test */
'use strict';

const { expectNoLeak } = require('../../testing.js');
const { close, open } = require('./sessions.js');

test('closed sessions leave nothing behind', () => expectNoLeak(async () => close(await open())), 120_000);

test('open ones do', () => expectNoLeak(open), 120_000);
