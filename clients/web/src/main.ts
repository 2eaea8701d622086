// The start of the pages: the token leaves the address first, then the app.

import "@sluice/sdk";
import "./app";
import { adopt } from "./token";

adopt();
