'use strict';
// A cache on the class itself.
class Image { constructor(i){ this.id=i; this.title='title '+i; this.size={w:i,h:[i]}; Image.cache.set(i, this); } static cache = new Map(); }
for (let i=0;i<20000;i++) new Image(i);
exports.Image=Image;
