// Skeletons that turn and move, and films with skeletons. Each <figure class="skeletons"> holds its
// data as JSON and a strip of still pictures; with this script and a canvas, the strip gives way to
// a player, but in print. Drag, or use the slider or the arrow keys, to turn; Space plays. Those of
// a film go through its frames; its pictures are one sheet, which the strip holds.
// posebook/book/player.py writes the figures.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  const numbers = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Int16Array(bytes.buffer); // millimetres, x right, y down, z away; little-endian
  };

  function start(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const canvas = document.createElement("canvas");
    const paint = canvas.getContext && canvas.getContext("2d");
    if (!paint) return; // the strip stays
    const bodies = data.bodies.map((body) => ({ ...body, at: numbers(body.at) }));
    const shown = bodies.filter((body) => !body.behind);
    const behind = bodies.filter((body) => body.behind);
    const joints = data.joints, frames = data.frames;
    let turn = 0, frame = 0, playing = false, last = 0, dragged = null, swing = 0, clock = 0;
    const steps = data.steps || []; // a slider of what-if or of a film, not of the turn
    const film = data.film, plays = film || !steps.length, sheet = new Image();

    const strip = figure.querySelector(".strip");
    if (film) {
      sheet.onload = () => draw();
      sheet.src = strip.querySelector("image").getAttribute("href");
    }
    strip.hidden = true; // posebook.css prints it
    strip.after(canvas);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    const keys = film ? "Arrow keys go through the frames, space plays."
      : steps.length ? "Arrow keys move the slider." : "Arrow keys turn it, space plays.";
    canvas.setAttribute("aria-label", `${data.label} ${keys}`);
    const bar = document.createElement("div");
    bar.className = "controls";
    const button = document.createElement("button");
    button.type = "button";
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -180, max: 180, step: 1, value: 0 });
    slider.setAttribute("aria-label", steps.length ? data.knob : "Turn, in degrees");
    if (steps.length) Object.assign(slider, { min: 0, max: frames - 1, value: frame = frames >> 1 });
    const said = document.createElement("output");
    if (plays) bar.append(button); else bar.className += " what-if";
    if (steps.length) canvas.style.cursor = "auto";
    bar.append(slider, said);
    canvas.after(bar);

    function draw() {
      if (film) { // as high as its pictures
        const across = canvas.clientWidth / shown.length / (film[0] + 4);
        canvas.style.height = `${Math.min(336, Math.ceil(across * film[1]) + 28)}px`;
      }
      const ratio = devicePixelRatio || 1, wide = canvas.clientWidth, high = canvas.clientHeight;
      const size = [Math.round(wide * ratio), Math.round(high * ratio)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      paint.setTransform(ratio, 0, 0, ratio, 0, 0);
      paint.clearRect(0, 0, wide, high);
      const panel = wide / shown.length;
      const scale = Math.min(panel * (film ? film[1] / (film[0] + 4) : 1), high - 24) / data.size;
      const ink = getComputedStyle(canvas).color;
      shown.forEach((body, i) => {
        const x = (i + 0.5) * panel, y = (high - 24) / 2;
        if (film && sheet.naturalWidth) {
          const [w, h, columns] = film, k = 10 * scale;
          paint.drawImage(sheet, w * (frame % columns), h * Math.floor(frame / columns), w, h,
            x - k * w / 2, y - k * h / 2, k * w, k * h);
        }
        const grey = film ? "rgba(255,255,255,.7)" : "rgba(128,128,128,.45)";
        for (const other of behind) if (!other.of || other.of === body.name) bones(other, x, y, scale, 6, grey);
        bones(body, x, y, scale, 3, null);
        paint.shadowBlur = 0;
        paint.fillStyle = ink;
        paint.font = "13px sans-serif";
        paint.textAlign = "center";
        paint.fillText(body.name, x, high - 6, panel - 6);
      });
      said.textContent = steps.length ? steps[frame] : `${Math.round(turn)}°`;
      slider.value = steps.length ? frame : turn;
      button.textContent = playing ? "Pause" : "Play";
      button.setAttribute("aria-pressed", playing);
    }

    function bones(body, x, y, scale, width, color) {
      const c = Math.cos(turn * Math.PI / 180), s = Math.sin(turn * Math.PI / 180);
      const place = (j) => {
        const k = 3 * (frame * joints + j);
        const a = body.at[k], b = body.at[k + 1], d = body.at[k + 2];
        return [x + scale * (c * a + s * d), y + scale * b, c * d - s * a];
      };
      paint.lineCap = "round";
      paint.lineWidth = width;
      Object.assign(paint, { shadowColor: "white", shadowBlur: film && !color ? 4 : 0 }); // on dark cloth
      data.bones
        .filter((bone) => bone.slice(0, 2).every((j) => body.at[3 * (frame * joints + j)] > -32768))
        .map(([p, q, side]) => ({ p: place(p), q: place(q), side }))
        .sort((m, n) => n.p[2] + n.q[2] - m.p[2] - m.q[2]) // the far ones first
        .forEach(({ p, q, side }) => {
          paint.strokeStyle = color || data.colors[side];
          paint.beginPath();
          paint.moveTo(p[0], p[1]);
          paint.lineTo(q[0], q[1]);
          paint.stroke();
        });
    }

    function step(time) {
      if (!playing || !canvas.isConnected) return;
      const passed = Math.min(time - (last || time), 100);
      last = time;
      clock += passed;
      frame = Math.floor(clock * data.fps / 1000) % frames;
      swing += passed / 1000;
      // From the camera's own view to beside it and back: rest, turn, rest.
      if (!film) turn = 45 * (1 - Math.cos(Math.max(0, (swing % 8) - 1.5) * 2 * Math.PI / 6.5));
      draw();
      requestAnimationFrame(step);
    }

    function play(on) {
      playing = on;
      last = 0;
      draw();
      if (on) requestAnimationFrame(step);
    }
    const turnTo = (angle) => {
      play(false);
      turn = ((angle + 540) % 360) - 180;
      draw();
    };

    const stepTo = (k) => {
      if (film) play(false);
      frame = Math.max(0, Math.min(frames - 1, k));
      clock = 1000 * (frame + 0.5) / data.fps;
      draw();
    };
    button.onclick = () => play(!playing);
    slider.oninput = () => (steps.length ? stepTo : turnTo)(+slider.value);
    if (steps.length) canvas.onkeydown = (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) stepTo(frame + by);
      else if (film && event.key === " ") play(!playing);
      else return;
      event.preventDefault();
    };
    else canvas.onpointerdown = (event) => {
      dragged = event.clientX - turn;
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => dragged !== null && turnTo(event.clientX - dragged);
    canvas.onpointerup = canvas.onpointercancel = () => (dragged = null);
    canvas.onkeydown ||= (event) => {
      const by = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
      if (by) turnTo(turn + by);
      else if (event.key === " ") play(!playing);
      else if (event.key === "." && frames > 1) { play(false); stepTo((frame + 1) % frames); }
      else return;
      event.preventDefault();
    };
    new ResizeObserver(draw).observe(canvas); // also when a font or a sidebar moves it
    new MutationObserver(draw).observe(
      document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    draw();
    if (!still && plays) {
      new IntersectionObserver((seen, watch) => {
        if (seen[0].isIntersecting) { watch.disconnect(); play(true); }
      }).observe(canvas); // plays when it is first looked at
    }
  }

  const all = () => document.querySelectorAll("figure.skeletons").forEach((figure) => {
    try { start(figure); } catch (error) { console.warn("skeletons: " + error.message); }
  });
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", all); else all();
})();
