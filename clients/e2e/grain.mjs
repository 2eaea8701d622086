// A picture that costs what it may: runs in the page, before its own scripts.

/** grain replaces the page's camera by a dusk with film grain: something that needs the bitrate which it may have. */
export function grain({ width, height, fps }) {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const canvas = (w, h) => Object.assign(document.createElement("canvas"), { width: w, height: h });
  const noise = canvas(256, 256);
  const n = noise.getContext("2d");
  const dots = n.createImageData(256, 256);
  for (let i = 0; i < dots.data.length; i++) dots.data[i] = Math.random() * 256;
  n.putImageData(dots, 0, 0);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const sound = wanted.audio ? await real({ audio: wanted.audio }) : new MediaStream();
    if (!wanted.video) return sound;
    const picture = canvas(width, height);
    const g = picture.getContext("2d", { alpha: false });
    const sky = g.createLinearGradient(0, 0, 0, height);
    for (const [at, colour] of [[0, "#274b6d"], [0.65, "#e0a070"], [0.66, "#2b4645"], [1, "#182c2b"]]) sky.addColorStop(at, colour);
    const grains = g.createPattern(noise, "repeat");
    setInterval(() => {
      g.setTransform(1, 0, 0, 1, 0, 0);
      g.globalAlpha = 1;
      g.fillStyle = sky;
      g.fillRect(0, 0, width, height);
      g.fillStyle = "#ffe2b0";
      g.beginPath();
      g.arc(width * (0.5 + 0.3 * Math.sin(performance.now() / 3000)), height * 0.45, height / 10, 0, 7);
      g.fill();
      g.globalAlpha = 0.15;
      g.fillStyle = grains;
      const [x, y] = [Math.random() * 256, Math.random() * 256];
      g.translate(-x, -y);
      g.scale(2, 2);
      g.fillRect(0, 0, width, height);
    }, 1000 / fps);
    const stream = picture.captureStream(fps);
    for (const t of sound.getAudioTracks()) stream.addTrack(t);
    return stream;
  };
}
