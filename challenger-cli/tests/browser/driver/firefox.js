// What the inside of Firefox can tell about its pages, and do with them. A window has it once.
window.inside ??= (() => {
    const browser = gBrowser.selectedBrowser;
    const features = ['prefersColorScheme', 'prefersReducedMotion', 'forcedColors'];
    // By the numbers of the channels that fetch them.
    const requests = new Map();
    let messages = [];

    // Requests of a page have a place in a tab; those of Firefox itself have none.
    const watch = (channel, topic) => {
        channel.QueryInterface(Ci.nsIHttpChannel);
        const known = requests.get(channel.channelId);
        if (topic === 'http-on-modify-request' && channel.loadInfo.browsingContextID !== 0) {
            const url = channel.URI.spec;
            requests.set(channel.channelId, { url, bytes: 0, headers: {}, over: false });
        } else if (topic === 'http-on-examine-response' && known) {
            channel.visitResponseHeaders((name, value) => { known.headers[name] = value; });
        } else if (topic === 'http-on-stop-request' && known) {
            known.bytes = channel.transferSize;
            known.over = true;
        }
    };
    const hear = (message) => {
        const isOfPage = message instanceof Ci.nsIScriptError
            && /^(about|data|https?):/.test(message.sourceName);
        if (isOfPage) {
            messages.push(message.errorMessage);
        }
    };

    return {
        start() {
            const topics = ['modify-request', 'examine-response', 'stop-request'];
            for (const topic of topics) {
                Services.obs.addObserver(watch, `http-on-${topic}`);
            }
            Services.console.registerListener({ observe: hear });
        },
        resize(width, zoom) {
            browser.style.width = `${width * zoom}px`;
            browser.style.height = `${800 * zoom}px`;
            browser.fullZoom = zoom;
        },
        emulate(medium, feature, value) {
            const context = browser.browsingContext;
            for (const each of features) {
                context[`${each}Override`] = 'none';
            }
            const name = feature.replace(/-./g, (it) => it[1].toUpperCase());
            context[`${name}Override`] = value;
            context.mediumOverride = medium === 'screen' ? '' : medium;
        },
        // Everything since the last look, or nothing if there is more to come.
        fetched() {
            const all = [...requests.values()];
            if (all.length === 0 || !all.every((it) => it.over)) {
                return null;
            }
            requests.clear();
            return all;
        },
        console() {
            const heard = messages;
            messages = [];
            return heard;
        },
    };
})();
