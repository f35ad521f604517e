// What is wrong with the layout of the page, as texts. The first argument is the window's width.
const complaints = [];
const root = document.documentElement;
const complain = (it, what) => {
    const name = it.name || it.textContent.replace(/\s+/g, ' ').trim().slice(0, 60);
    complaints.push(`${it.localName} "${name}" ${what}`);
};

if (root.scrollWidth > root.clientWidth) {
    complaints.push(`the page is ${root.scrollWidth} px wide in a window of ${root.clientWidth}`);
}
if (innerWidth !== arguments[0]) {
    complaints.push(`the page is shown as if the window had ${innerWidth} px`);
}

const controls = [];
for (const it of document.body.querySelectorAll('*')) {
    const box = it.getBoundingClientRect();
    // What is there for screen readers only has a pixel or none.
    if (!it.checkVisibility() || box.width <= 1 || box.height <= 1) {
        continue;
    }
    if (box.left < -0.5 || box.right > root.clientWidth + 0.5) {
        complain(it, 'leaves the window');
    }
    const style = getComputedStyle(it);
    const isField = it.matches('input, select, textarea');
    const cuts = style.overflow !== 'visible' && !isField;
    const tooWide = it.scrollWidth > it.clientWidth + 1;
    const tooHigh = it.scrollHeight > it.clientHeight + 1;
    if ((cuts && (tooWide || tooHigh)) || (it.matches('input') && tooHigh)) {
        complain(it, 'cuts off what is in it');
    }
    if (style.display !== 'inline' && !isField) {
        for (const text of it.childNodes) {
            const range = document.createRange();
            range.selectNode(text);
            const room = range.getBoundingClientRect();
            const isText = text.nodeType === Node.TEXT_NODE && room.width > 0;
            if (isText && (room.right > box.right + 1 || room.bottom > box.bottom + 1)) {
                complain(it, 'is too small for its text');
            }
        }
    }
    if (it.matches('a[href], button, input, select, summary, textarea')) {
        controls.push([it, box]);
        // A link within a sentence is as high as its line (WCAG 2.2, 2.5.8).
        const sentence = it.parentElement.textContent.trim() !== it.textContent.trim();
        const small = Math.min(box.width, box.height) < 24;
        if (small && !(it.matches('a') && style.display === 'inline' && sentence)) {
            complain(it, `has only ${Math.round(box.width)} by ${Math.round(box.height)} px`);
        }
    }
}

controls.forEach(([it, box], index) => {
    for (const [other, there] of controls.slice(index + 1)) {
        const apart = box.right <= there.left + 1 || there.right <= box.left + 1
            || box.bottom <= there.top + 1 || there.bottom <= box.top + 1;
        if (!apart && !it.contains(other)) {
            complain(other, 'overlaps with another control');
        }
    }
});
return complaints;
