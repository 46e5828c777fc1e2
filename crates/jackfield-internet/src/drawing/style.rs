//! The style sheet of pictures: a light scheme, and a dark one for readers who prefer it.

pub(super) const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:12px;fill:#1f2933}
.bg{fill:#fff;stroke:#d9dee5}
.title{font-size:17px;font-weight:650}
.name{font-size:13.5px;font-weight:650}
.about{font-size:11.5px;fill:#52606d}
.nat-box .about{fill:#52606d}
.address,.end,.new,.time{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.address{font-size:11px;fill:#52606d}
.time{font-size:10.5px;fill:#7b8794}
.end,.new{font-size:10px}
.end{fill:#616e7c}
.new{fill:#b4540a;font-weight:700}
.label,.end,.new{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.host{fill:#eef2f7;stroke:#9fb3c8}
.nat{fill:#fff1dd;stroke:#e0a458}
.inside{fill:#4a78b5;fill-opacity:.06}
.life{stroke:#b8c2cc;stroke-width:1.2;stroke-dasharray:3 4}
.note{fill:#e9eef5}
.note-text{font-size:12.5px;font-weight:600;fill:#334e68}
.hop{stroke:#2a6f97;fill:#2a6f97}
.drop{stroke:#c62828;fill:#c62828}
.held{stroke:#a66b00;fill:#a66b00}
path.hop,path.drop,path.held{fill:none;stroke-width:1.7}
.cross{stroke:#c62828;stroke-width:2.4;stroke-linecap:round}
.drop-pill{fill:#c62828}
.held-pill{fill:#a66b00}
.pill-text{font-size:11.5px;font-weight:650;fill:#fff}
@media (prefers-color-scheme:dark){
text{fill:#e4e7eb}
.bg{fill:#12181f;stroke:#2b3641}
.about,.address,.nat-box .about{fill:#9fb0c0}
.time{fill:#7f8c99}
.end{fill:#9aa8b5}
.new{fill:#ffb454}
.label,.end,.new{stroke:#12181f}
.host{fill:#1c2733;stroke:#3e5266}
.nat{fill:#33271a;stroke:#8f6a35}
.inside{fill:#7aa7e0;fill-opacity:.07}
.life{stroke:#46535f}
.note{fill:#1b2530}
.note-text{fill:#bcd0e4}
.hop{stroke:#6bb7dd;fill:#6bb7dd}
.drop{stroke:#ff6b6b;fill:#ff6b6b}
.held{stroke:#e0a030;fill:#e0a030}
path.hop,path.drop,path.held{fill:none}
.cross{stroke:#ff6b6b}
.drop-pill{fill:#b3261e}
.held-pill{fill:#8a5a00}
.pill-text{fill:#fff}
}
";
