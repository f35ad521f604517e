// What is wrong with the looks of the page, as texts. The argument says how it is shown: `light`,
// `dark`, `forced-colors`, `reduced-motion` or `print`.
const complaints = [];
const how = arguments[0];

// How bright a colour is, from 0 to 255; and how opaque.
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const see = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, opacity] = canvas.getImageData(0, 0, 1, 1).data;
    return { light: Math.round(0.2126 * red + 0.7152 * green + 0.0722 * blue), opacity };
};

// Behind a page without a colour of its own is the one of its scheme.
const probe = document.createElement('i');
document.body.append(probe);
probe.style.background = 'Canvas';
const layers = [document.body, document.documentElement, probe];
const colors = layers.map((it) => see(getComputedStyle(it).backgroundColor));
probe.remove();
const ground = colors.find((it) => it.opacity > 0).light;
const text = see(getComputedStyle(document.querySelector('h1') ?? document.body).color).light;
const isDark = ground < 64 && text > 160;
const isLight = ground > 192 && text < 96;
if (how === 'dark' ? !isDark : how !== 'forced-colors' && !isLight) {
    complaints.push(`for ${how}, the ground is ${ground} bright and the text ${text}`);
}

for (const it of document.querySelectorAll('button, input, select, textarea')) {
    const style = getComputedStyle(it);
    const edged = style.borderTopStyle !== 'none' && parseFloat(style.borderTopWidth) > 0;
    if (how === 'forced-colors' && it.checkVisibility() && !edged) {
        complaints.push(`without its colours, ${it.outerHTML} has no edge`);
    }
}

for (const it of document.querySelectorAll('*')) {
    const style = getComputedStyle(it);
    const times = `${style.transitionDuration}, ${style.animationDuration}`.split(', ');
    if (how === 'reduced-motion' && times.some((time) => parseFloat(time) > 0.01)) {
        complaints.push(`${it.outerHTML.slice(0, 120)} moves`);
    }
}
return complaints;
