'use strict';
// Nothing leaks.
