// gallery.cjs DIR - photographs every NAME.md in DIR as NAME-390.png (the first two screens of a phone) and NAME-1200.png.
// For scripts/gallery, which says where the modules and Chromium are.
const fs = require("fs");
const path = require("path");
const { marked } = require("marked");
const puppeteer = require("puppeteer-core");
const UPNG = require("upng-js");

const MOST_BYTES = 200_000;
// A page is photographed down to here at most, in pixels of CSS.
const VIEWS = [
  { width: 390, most: 2 * 844, scale: 2 },
  { width: 1200, most: 1600, scale: 1 },
];

// Near to what forges have, so that lines break where they break there.
const CSS = `
  body { margin: 0; padding: 16px; font: 16px/1.5 "Noto Sans", "Liberation Sans", sans-serif; color: #1f2328; background: #fff;
    overflow-wrap: break-word; }
  body.wide { max-width: 860px; margin: 0 auto; }
  body.phone { font-size: 14px; }
  h1, h2, h3, h4 { line-height: 1.25; margin: 24px 0 16px; font-weight: 600; }
  h1 { font-size: 2em; } h2 { font-size: 1.5em; border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; } h3 { font-size: 1.25em; }
  h1:first-child, h2:first-child, h3:first-child { margin-top: 0; }
  p, ul, ol, table, pre, blockquote, details { margin: 0 0 16px; }
  ul, ol { padding-left: 2em; } li + li { margin-top: .25em; }
  code { font: 85% "Noto Sans Mono", "Liberation Mono", monospace; background: #818b981f; border-radius: 6px; padding: .2em .4em;
    white-space: break-spaces; }
  pre { background: #f6f8fa; border-radius: 6px; padding: 16px; overflow: auto; line-height: 1.45; }
  pre code { background: none; padding: 0; white-space: pre; font-size: 85%; }
  body.phone pre code { font-size: 12px; }
  table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; }
  th, td { border: 1px solid #d1d9e0; padding: 6px 13px; } tr:nth-child(2n) { background: #f6f8fa; }
  summary { cursor: default; } a { color: #0969da; }
  blockquote { border-left: .25em solid #d1d9e0; padding: 0 1em; color: #59636e; }
  hr { border: 0; height: .25em; background: #d1d9e0; margin: 24px 0; }
`;

function page(markdown, view) {
  const kind = view.width < 500 ? "phone" : "wide";
  return `<!doctype html><meta charset="utf-8"><style>${CSS}</style><body class="${kind}">${marked.parse(markdown, { gfm: true })}`;
}

// With fewer colours until it is small enough: most of it is text, and loses nothing.
function reduced(png) {
  const image = UPNG.decode(png);
  const pixels = UPNG.toRGBA8(image);
  for (const colours of [64, 32, 16, 8]) {
    const small = Buffer.from(UPNG.encode(pixels, image.width, image.height, colours));
    if (small.length < MOST_BYTES) return small;
  }
  return null;
}

async function main(dir) {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    // Nothing but our own page is loaded, and a root in a container has no sandbox to give.
    args: ["--no-sandbox", "--font-render-hinting=none"],
  });
  try {
    for (const file of fs.readdirSync(dir).filter((name) => name.endsWith(".md") && name !== "README.md")) {
      const markdown = fs.readFileSync(path.join(dir, file), "utf8");
      for (const view of VIEWS) {
        const tab = await browser.newPage();
        await tab.setJavaScriptEnabled(false);
        const shot = async (scale) => {
          await tab.setViewport({ width: view.width, height: 844, deviceScaleFactor: scale });
          await tab.setContent(page(markdown, view), { waitUntil: "load" });
          const height = Math.min(view.most, (await (await tab.$("html")).boundingBox()).height);
          return reduced(await tab.screenshot({ clip: { x: 0, y: 0, width: view.width, height: Math.ceil(height) } }));
        };
        // A screen of a phone has more than one pixel for each of CSS, as far as that fits.
        const png = (await shot(view.scale)) ?? (await shot(1));
        await tab.close();
        if (!png) throw new Error(`${file} at ${view.width} pixels: no picture below ${MOST_BYTES} bytes`);
        const name = file.replace(/\.md$/, `-${view.width}.png`);
        fs.writeFileSync(path.join(dir, name), png);
        console.log(`${name}: ${png.length} bytes`);
      }
    }
  } finally {
    await browser.close();
  }
}

main(process.argv[2]).catch((error) => {
  console.error(`gallery: ${error.message}`);
  process.exit(1);
});
