import { test } from 'vitest';
import { expectNoLeak } from '../../testing.js';
import sessions from './sessions.js';

const { close, open } = sessions;

test('closed sessions leave nothing behind', { timeout: 120_000 }, () => expectNoLeak(async () => close(await open())));

test('open ones do', { timeout: 120_000 }, () => expectNoLeak(open));
